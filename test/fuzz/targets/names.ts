import { BlockList } from 'node:net';
import { strict as assert } from 'node:assert';
import { decode, encode } from 'dns-packet';

import { canonicalHost } from '../../../src/base/host.ts';
import { visible } from '../../../src/base/text.ts';
import { addressFault } from '../../../src/gateway/upstream/address-check.ts';
import { readOverride } from '../../../src/gateway/upstream/destination.ts';
import { answerQuery } from '../../../src/gateway/names/dns.ts';
import { createNames } from '../../../src/gateway/names/names.ts';
import { canonicalPath } from '../../../src/policy/matching/canonical-path.ts';
import { compileGlob, matchPath } from '../../../src/policy/matching/match-path.ts';
import type { FuzzTarget } from '../fuzz.ts';

/** Names, addresses and paths: canonical or refused, and canonical means the same to every other reader. */

const hostTarget: FuzzTarget = {
  name: 'host',
  seeds: ['api.example.com', 'API.Example.COM.', 'bücher.example', 'xn--bcher-kva.example', '127.0.0.1', '0x7f.1', 'a_b.example'],
  words: ['xn--', '.', '。', '%2e', '\0', '@', '0x', '\u00ad', '\u200d', 'ⓔ', ':443', '[::1]', '-'],
  maxBytes: 300,
  run(input) {
    const host = canonicalHost(input.toString('utf8'));
    if (host === undefined) {
      return;
    }
    assert.match(host, /^[a-z0-9._-]{1,253}$/);
    assert.equal(canonicalHost(host), host, 'canonical names stay as they are');
    assert.equal(new URL(`http://${host}/`).hostname, host, 'the URL standard reads the same name');
  },
};

const private4 = new BlockList();
const private6 = new BlockList();
for (const [address, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['224.0.0.0', 3],
] as const) {
  private4.addSubnet(address, bits, 'ipv4');
}
for (const [address, bits] of [
  ['::', 8],
  ['64:ff9b::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
  ['2002::', 16],
  ['2001::', 32],
] as const) {
  private6.addSubnet(address, bits, 'ipv6');
}

const addressTarget: FuzzTarget = {
  name: 'address',
  seeds: [
    '93.184.216.34',
    '127.0.0.1',
    '::ffff:10.0.0.1',
    '64:ff9b::a00:1',
    '2606:2800:220:1::1',
    'fe80::1%eth0',
    '0177.1',
    '2130706433',
  ],
  words: ['::', '::ffff:', '0x', '%lo', '127.', '.1', '0', 'fd00:', '2002:'],
  maxBytes: 64,
  run(input) {
    const text = input.toString('latin1');
    if (addressFault(text, new Set()) === undefined) {
      const isPrivate = text.includes(':') ? private6.check(text, 'ipv6') : private4.check(text, 'ipv4');
      assert.equal(isPrivate, false, 'not in a range that is private');
    }
  },
};

const names = createNames({ sandboxId: 'cm-fuzz', rules: () => [], limit: 50, allowedLimit: 50 });
const queryOf = (name: string): Buffer => encode({ type: 'query', id: 7, flags: 0x100, questions: [{ type: 'A', name }] });

const dnsTarget: FuzzTarget = {
  name: 'dns',
  seeds: [
    queryOf('api.example.com'),
    queryOf('a'.repeat(63)),
    Buffer.concat([queryOf('x.y'), Buffer.from([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0])]),
  ],
  words: ['\xc0\x0c', '\0\0', '\x3f'],
  maxBytes: 600,
  run(input) {
    const answer = answerQuery(input, {
      names,
      rules: () => [],
      forbidden: () => ['phantom'],
      mayAnswer: () => true,
      onForbidden: () => undefined,
      onFull: () => undefined,
    });
    if (answer === undefined) {
      return;
    }
    const bytes = Buffer.from(answer);
    assert.equal(bytes.readUInt16BE(0), input.readUInt16BE(0), 'the number of the query');
    assert.ok(bytes.readUInt8(2) >= 0x80, 'an answer, not a query');
    for (const record of bytes.length > 12 ? (decode(bytes).answers ?? []) : []) {
      assert.ok(
        record.type === 'A' && /^127\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(record.data),
        'an address of the sandbox',
      );
    }
  },
};

const overrideTarget: FuzzTarget = {
  name: 'override',
  seeds: ['https://api.example.com', 'http://127.0.0.1:8080', 'tcp://[::1]:22', 'http://localhost', 'http://0x7f.1/'],
  words: ['http://', '@', '[', ']', ':', '//', '%', '127.'],
  maxBytes: 200,
  run(input) {
    const override = readOverride(input.toString('utf8'));
    if (override !== undefined) {
      assert.ok(override.port >= 0 && override.port <= 65_535);
      assert.doesNotMatch(override.host, /[^a-zA-Z0-9._:-]/);
    }
  },
};

const pathTarget: FuzzTarget = {
  name: 'path',
  seeds: ['/v1/messages', '/a/%2e%2e/b', '/a//b/../c?x=/../y', '/%41%2f', '/a;b/c'],
  words: ['%2e', '%2F', '..', '//', '\\', ';', '?', '#', '%25'],
  maxBytes: 300,
  run(input) {
    const path = canonicalPath(input.toString('latin1'));
    if (path !== undefined) {
      assert.equal(canonicalPath(path), path, 'canonical paths stay as they are');
      assert.ok(!path.split('/').includes('..') && !path.includes('//'));
    }
  },
};

const globTarget: FuzzTarget = {
  name: 'glob',
  seeds: ['/v1/**\n/v1/a/b', '/*/x*y\n/a/xzy', '/**/**/**\n/a/b/c', '*a*a*a*a*a*a\naaaaaaaaaaaaaaaaaaaaaaaaa'],
  words: ['**', '*', '/', '\n'],
  maxBytes: 400,
  run(input) {
    const [glob = '', path = ''] = input.toString('latin1').split('\n');
    const isMatch = matchPath(compileGlob(glob), path);
    if (!glob.includes('*')) {
      assert.equal(isMatch, glob === path);
    }
  },
};

const visibleTarget: FuzzTarget = {
  name: 'visible',
  seeds: ['plain', '\x1b[31mred', 'a\u202eb', '\u{e0041}', 'ü\u0301'],
  words: ['\x1b', '\x9b', '\u2028', '\ufeff', '\r\n', '\x07'],
  run(input) {
    const text = visible(input.toString('utf8'));
    assert.doesNotMatch(text, /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
    assert.equal(visible(text), text, 'what is visible stays as it is');
  },
};

export const nameTargets: readonly FuzzTarget[] = [
  hostTarget,
  addressTarget,
  dnsTarget,
  overrideTarget,
  pathTarget,
  globTarget,
  visibleTarget,
];
