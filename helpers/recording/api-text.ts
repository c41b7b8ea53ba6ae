/**
 * An answer of the API as a recording holds it: one value a line, so that git can compare it and a citation can name the
 * line; without managedFields, and without the signatures that bootstrap tokens leave in ConfigMap `cluster-info`.
 * @throws SyntaxError for what is not JSON
 */
export function apiText(json: string): string {
  const plain = JSON.parse(json, (key, value: unknown) => {
    if (key.startsWith('jws-kubeconfig-')) return 'REDACTED'
    return key === 'managedFields' ? undefined : value
  }) as unknown
  return `${JSON.stringify(plain, null, 1)}\n`
}
