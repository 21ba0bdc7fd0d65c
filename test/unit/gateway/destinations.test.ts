import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { addressFault } from '../../../src/gateway/upstream/address-check.ts';
import { readOverride } from '../../../src/gateway/upstream/destination.ts';
import { proxyAuthorization, proxyFor, proxySettings } from '../../../src/gateway/upstream/proxy-settings.ts';
import { splitPem } from '../../../src/gateway/tls/trust.ts';
import { createRate } from '../../../src/gateway/rate.ts';
import { environmentOf } from '../../../src/system/environment.ts';

describe('addresses', () => {
  test('inside IPv6 a private IPv4 address is never public, in whatever form', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(10, 127, 169, 172, 192),
        fc.nat(255),
        fc.nat(255),
        fc.constantFrom('::ffff:', '::', '64:ff9b::', '::ffff:0:', '64:ff9b:1::'),
        (a, b, c, prefix) => {
          expect(addressFault(`${prefix}${a}.${b}.${c}.1`, new Set())).not.toBeUndefined();
        },
      ),
    );
  });

  test('that are public pass', () => {
    expect(
      ['93.184.216.34', '2606:2800:220:1:248:1893:25c8:1946', '1.1.1.1', '160.79.104.10'].map((address) =>
        addressFault(address, new Set()),
      ),
    ).toEqual([undefined, undefined, undefined, undefined]);
  });

  test('never throw', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.ipV4Extended(), fc.ipV6()), (text) => void addressFault(text, new Set())));
  });
});

describe('the upstream of a rule', () => {
  test.each([
    ['http://127.0.0.1:8080', { tls: false, host: '127.0.0.1', port: 8080, isLoopback: true }],
    ['https://[::1]:8443', { tls: true, host: '::1', port: 8443, isLoopback: true }],
    ['https://inner.example.com', { tls: true, host: 'inner.example.com', port: 443, isLoopback: false }],
    ['http://localhost', { tls: false, host: 'localhost', port: 80, isLoopback: true }],
    ['tcp://10.0.0.1:5432', { tls: false, host: '10.0.0.1', port: 5432, isLoopback: false }],
    ['ftp://x', undefined],
    ['nonsense', undefined],
    ['', undefined],
  ])('%s is read', (text, expected) => {
    expect(readOverride(text)).toEqual(expected);
  });
});

describe('the proxy of the host', () => {
  const proxy = proxySettings(
    environmentOf({
      HTTPS_PROXY: 'proxy.example.com:3128',
      http_proxy: 'http://u:p%20w@plain.example.com',
      NO_PROXY: '.corp.example.com, direct.example.com:8443 ,*.wild.example.com',
    }),
  );

  test('is chosen by use, name and port', () => {
    expect(proxyFor(proxy, 'a.example.com', 443, 'secure')?.host).toBe('proxy.example.com:3128');
    expect(proxyFor(proxy, 'a.example.com', 80, 'plain')?.host).toBe('plain.example.com');
    expect(proxyFor(proxy, 'x.corp.example.com', 443, 'secure')).toBeUndefined();
    expect(proxyFor(proxy, 'x.wild.example.com', 443, 'secure')).toBeUndefined();
    expect(proxyFor(proxy, 'notcorp.example.com', 443, 'secure')).toBeDefined();
    expect(proxyFor(proxy, 'direct.example.com', 8443, 'secure')).toBeUndefined();
    expect(proxyFor(proxy, 'direct.example.com', 443, 'secure')).toBeDefined();
    expect(proxyFor(undefined, 'a.example.com', 443, 'secure')).toBeUndefined();
  });

  test('has its credentials decoded, and is none where nothing is set', () => {
    expect(proxyAuthorization(proxy?.plain ?? new URL('http://x'))).toBe(`Basic ${Buffer.from('u:p w').toString('base64')}`);
    expect(proxyAuthorization(new URL('http://x'))).toBeUndefined();
    expect(proxySettings(environmentOf({}))).toBeUndefined();
    expect(proxySettings(environmentOf({ HTTPS_PROXY: 'socks5://x' }))).toBeUndefined();
    expect(
      proxyFor(proxySettings(environmentOf({ ALL_PROXY: 'http://all', NO_PROXY: '*' })), 'a.b', 443, 'secure'),
    ).toBeUndefined();
  });
});

test('a bundle is read certificate by certificate', () => {
  const one = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
  expect(splitPem(`# comment\n${one}\n\n${one}\ngarbage`)).toEqual([one, one]);
  expect(splitPem('')).toEqual([]);
});

test('a rate lets a burst pass and then so many a second', () => {
  let now = 0;
  const rate = createRate(5, { nowMs: () => 0, monotonicMs: () => now });
  const taken = (): number => Array.from({ length: 20 }, () => rate.take()).filter(Boolean).length;
  expect(taken()).toBe(5);
  now = 400;
  expect(taken()).toBe(2);
  now = 1_000_000;
  expect(taken()).toBe(5);
});
