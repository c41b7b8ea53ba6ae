import { expect, test } from 'vitest'
import { findListing, lsListing, noSuchFile } from './listing.ts'
import { value } from './parser.ts'
import { refused } from './table.ts'

test('find -printf, with and without times and links', () => {
  const listing = value(
    findListing(`drwxr-xr-x root root 4096 1795388205.5034326980 /etc/kubernetes ->
lrwxrwxrwx root root 19 1795387649.5274466080 /etc/kubernetes/pki -> /etc/kubernetes/ssl
-rw------- root root 5661 1795388097.3513079000 /etc/kubernetes/admin.conf -> ${''}
-rw------- root root 5661 1795388097.3513079000 /etc/kubernetes/a b/c.conf -> ${''}
`),
  )
  expect(listing.get('/etc/kubernetes/pki')?.linkTarget).toBe('/etc/kubernetes/ssl')
  expect(listing.names('/etc/kubernetes')).toEqual(['admin.conf', 'pki'])
  expect(listing.get('/etc/kubernetes/admin.conf')).toMatchObject({
    permissions: '-rw-------',
    owner: 'root',
    size: 5661,
    linkTarget: undefined,
  })
  expect(listing.has('/etc/kubernetes/absent')).toBe(false)
  expect(value(findListing('drwx------ root root 4096 /var/lib/etcd\n')).entries[0]?.mtime).toBeUndefined()
})

test('ls -la', () => {
  const listing = value(
    lsListing(
      'total 8\ndrwxr-xr-x 1 root root 4096 Nov 22 22:55 .\ndrwxr-xr-x 1 root root 4096 Nov 22 21:49 ..\n-rwxr-xr-x. 1 root root 246 Nov 22  2025 etcdctl.sh\nlrwxrwxrwx 1 root root 7 Nov 22 22:55 a -> b\n',
    ),
  )
  expect(listing.names('')).toEqual(['a', 'etcdctl.sh'])
  expect(listing.get('a')?.linkTarget).toBe('b')
})

test('refuses what is no listing', () => {
  refused(findListing, '', 'empty: no file listed')
  refused(findListing, 'x', 'line 1: not a listed file: "x"')
  refused(
    lsListing,
    '-rwxr-xr-x 1 root root 246 Nov 22 22:53  -> b',
    /a listed file without its name|not a listed file/,
  )
  refused(noSuchFile, 'Permission denied', /^not "No such file or directory"/)
  expect(value(noSuchFile("find: '/etc/nginx': No such file or directory\n"))).toBeUndefined()
})
