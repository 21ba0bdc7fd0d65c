import type { IncomingMessage } from 'node:http';
import { expect, it } from 'vitest';

import { misdirected, requireListenable } from '../../../src/mcp/http-listener.ts';

const tls = { cert: '', key: '' };

it('nothing is listened for beyond this machine but with TLS, under a name', () => {
  for (const address of [undefined, '127.0.0.1', '127.8.8.8', '::1']) {
    expect(() => requireListenable({ port: 1, address })).not.toThrow();
  }
  for (const address of ['0.0.0.0', '::', '192.0.2.7', '::ffff:192.0.2.7', '2001:db8::1']) {
    expect(() => requireListenable({ port: 1, address }), address).toThrow('in clear');
    expect(() => requireListenable({ port: 1, address, tls }), address).toThrow('needs the names');
    expect(() => requireListenable({ port: 1, address, tls, hosts: ['casemate.example.com'] })).not.toThrow();
  }
  for (const address of ['localhost', 'casemate.example.com', '', '127.1']) {
    expect(() => requireListenable({ port: 1, address, tls, hosts: ['x'] }), address).toThrow('is not an address');
  }
});

it('a request that names another host, or comes from a page, is none for us', () => {
  const asked = (headers: IncomingMessage['headers'], options = { port: 7391, hosts: ['casemate.example.com'] }) =>
    misdirected({ headers } as IncomingMessage, options);
  const names = ['casemate.example.com:7391', 'casemate.example.com', 'Casemate.example.com:443'];
  for (const host of ['127.0.0.1:7391', 'LocalHost:7391', '[::1]:7391', ...names]) {
    expect(asked({ host }), host).toBeUndefined();
  }
  for (const host of [
    undefined,
    '',
    ':7391',
    '127.0.0.1',
    'casemate.example.com.',
    'casemate.example.com:x',
    'casemate.example.com:1:7391',
    'casemate.example.com:7391.example.net',
    '127.0.0.1:80',
    'x.casemate.example.com:7391',
    '0.0.0.0:7391',
  ]) {
    expect(asked(host === undefined ? {} : { host }), host).toBe('this host name is not served');
  }
  expect(asked({ host: 'casemate.example.com' }, { port: 443, hosts: ['casemate.example.com'] })).toBeUndefined();
  for (const origin of ['null', '', 'https://casemate.example.com', 'http://127.0.0.1:7391']) {
    expect(asked({ host: '127.0.0.1:7391', origin }), origin).toBe('pages of browsers are not served');
  }
});
