import { expect, test } from 'vitest'
import { apiVersion, curlResult, httpCode, httpHead, plainHealth, stubStatus, verboseHealth } from './http.ts'
import { value } from './parser.ts'
import { refused } from './table.ts'

test('headers', () => {
  const { status, headers } = value(httpHead('HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n'))
  expect([status, headers.get('server'), headers.get('content-length')]).toEqual([200, 'nginx', '0'])
  refused(httpHead, '', 'empty: no status line')
  refused(httpHead, 'HTTP/1.1 200 OK\nx', 'line 2: not an HTTP header: "x"')
})

test('codes and exit statuses', () => {
  expect(value(httpCode('200'))).toBe(200)
  expect(value(httpCode('000'))).toBe(0)
  refused(httpCode, 'x', 'not an HTTP status: "x"')
  expect(value(curlResult('{"health":"true"}rc=0\n'))).toEqual({ body: '{"health":"true"}', exitCode: 0 })
  refused(curlResult, '', 'no curl exit status: ""')
})

test('versions and health', () => {
  expect(
    value(apiVersion('{"gitVersion":"v1","gitCommit":"c","goVersion":"g","platform":"p","major":"1"}')).gitVersion,
  ).toBe('v1')
  const { checks, passed } = value(verboseHealth('[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n'))
  expect([[...checks], passed]).toEqual([
    [
      ['ping', true],
      ['etcd', false],
    ],
    false,
  ])
  expect(value(verboseHealth('[+]ping ok\nlivez check passed\n')).passed).toBe(true)
  refused(verboseHealth, '', 'empty: no health check')
  refused(verboseHealth, 'x', 'line 1: not a health check: "x"')
  expect([value(plainHealth('ok')), value(plainHealth('[-]syncloop failed'))]).toEqual([true, false])
  refused(plainHealth, 'x', 'not a health answer: "x"')
  expect(value(stubStatus('Active connections: 3 \nserver accepts handled requests\n 20 20 12 \n')).active).toBe(3)
  refused(stubStatus, 'x', 'not nginx\'s stub_status: "x"')
})
