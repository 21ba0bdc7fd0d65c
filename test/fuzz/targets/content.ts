import { strict as assert } from 'node:assert';

import { isCasemateError } from '../../../src/base/errors.ts';
import { awsEventReader, sseReader } from '../../../src/gateway/guards/event-readers.ts';
import { jsonMembers } from '../../../src/gateway/http/json-members.ts';
import { formParts } from '../../../src/gateway/http/query.ts';
import { placeForParameter } from '../../../src/gateway/http/replace-parameter.ts';
import { readGitRequest } from '../../../src/policy/judging/git-request.ts';
import { readLfsBatch } from '../../../src/policy/judging/lfs-batch.ts';
import { readMcpCalls } from '../../../src/policy/judging/mcp.ts';
import { parsePolicy } from '../../../src/policy/written/parse.ts';
import { readStrictJson } from '../../../src/base/strict-json.ts';
import { cutInto } from '../../helpers/websocket-bytes.ts';
import type { FuzzTarget } from '../fuzz.ts';

/** What stands in requests, answers and policies. */

const jsonTarget: FuzzTarget = {
  name: 'json',
  seeds: ['{"a":1,"b":{"a":[1,"x"]}}', '[]', '{"a":"\\u0061","A":2}', '{"__proto__":1}', '{"key":"k","key":"l"}'],
  words: ['"', '\\"', '{', '}', ':', ',', '\\u0061', '__proto__', '[', ']', '\ufeff'],
  run(input) {
    const value = readStrictJson(input);
    const text = input.toString('utf8');
    const members = jsonMembers(text);
    if (value !== undefined && typeof value === 'object' && value !== null && !Array.isArray(value)) {
      assert.deepEqual(members?.map(({ name }) => name).toSorted(), Object.keys(value).toSorted(), 'both see the same members');
    }
    for (const { name, start, end } of members ?? []) {
      assert.doesNotThrow(() => JSON.parse(text.slice(start, end)), `the value of ${JSON.stringify(name)}`);
    }
    readMcpCalls(input);
    readLfsBatch(input, 'owner/name');
  },
};

const formTarget: FuzzTarget = {
  name: 'form',
  seeds: ['a=1&key=phantom&b', 'key=%70hantom', 'a;b=c&KEY=x', '%zz=1', 'key=phantom&key=phantom'],
  words: ['key=', 'phantom', '%', '&', ';', '=', '%26', '%00', '+'],
  run(input) {
    const text = input.toString('latin1');
    assert.ok(formParts(text).every(({ text: part }) => text.includes(part)));
    const place = placeForParameter(text, { parameter: 'key', phantoms: ['phantom'] });
    if (place.ok) {
      const read = new URLSearchParams(`${place.before}secret${place.after}`);
      assert.deepEqual(read.getAll('key'), ['secret'], 'another reader sees the key, and it alone');
    }
  },
};

const event = (value: object): string => `event: x\ndata: ${JSON.stringify(value)}\n\n`;
const eventTarget: FuzzTarget = {
  name: 'events',
  seeds: [
    event({ usage: { input_tokens: 3 } }) + event({ a: 1 }),
    'data: [DONE]\n\n',
    Buffer.from('0000002000000000000000007b7d', 'hex'),
  ],
  words: ['data:', '\n\n', '\r\n', '{}', '\0\0\0\x10', ': '],
  run(input) {
    for (const create of [sseReader, awsEventReader]) {
      const whole: unknown[] = [];
      create((value) => whole.push(value)).push(Buffer.from(input));
      const cut: unknown[] = [];
      const reader = create((value) => cut.push(value));
      cutInto(input, [1, 9, 2]).forEach((piece) => reader.push(piece));
      assert.deepEqual(cut, whole, 'the same however it is cut');
    }
  },
};

const gitTarget: FuzzTarget = {
  name: 'git-request',
  seeds: ['GET /o/r.git/info/refs?service=git-upload-pack', 'POST /o/r.git/git-receive-pack', 'POST /o/r/info/lfs/objects/batch'],
  words: ['git-receive-pack', '?service=', '.git', '%2e', '//', '/../', '&service=git-upload-pack'],
  maxBytes: 300,
  run(input) {
    const [method = '', path = ''] = input.toString('latin1').split(' ');
    const request = readGitRequest({ method, path });
    if (/^\/[\w./-]*\/git-receive-pack$/.test(path) && method === 'POST') {
      assert.notEqual(request?.kind, 'read', 'a push is never taken for a read');
    }
  },
};

const policyTarget: FuzzTarget = {
  name: 'policy',
  seeds: ['version: 1\nnetwork:\n  allow:\n    - host: api.example.com\n', 'version: 1\n', 'a: &x [*x]\n', '? [a]\n: b\n'],
  words: ['network:\n', '  allow:\n', '- host: ', '*', '&a ', '*a', '!!js', '\t', '"', '{', '[', 'ports: [443]\n'],
  maxBytes: 1500,
  run(input) {
    try {
      parsePolicy({ text: input.toString('utf8'), kind: 'user', source: 'fuzz', folder: '/', workspaceFolder: '/' });
    } catch (error) {
      assert.ok(isCasemateError(error), `told as bad input: ${String(error)}`);
    }
  },
};

export const contentTargets: readonly FuzzTarget[] = [jsonTarget, formTarget, eventTarget, gitTarget, policyTarget];
