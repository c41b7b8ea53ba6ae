import type { Edit } from '../../helpers/invariant/edit.ts'

/** Where the manifest of a component lies. */
export const manifest = (component: string) => `/etc/kubernetes/manifests/${component}.yaml`

/** An edit that gives a flag of a component another value. */
export const flag = (component: string, name: string, value: string) => (edit: Edit) =>
  edit.file(manifest(component), text => text.replace(new RegExp(`--${name}=[^'\\n]*`), `--${name}=${value}`))

/** What an edit of one control plane's flags hits as well. */
export const uniform = ['cp-flags-uniform'] as const
