import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { readMcpCalls, refusedCalls } from '../../../src/policy/judging/mcp.ts';
import { readStrictJson } from '../../../src/base/strict-json.ts';
import { ownTime } from '../../helpers/own-time.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

describe('JSON that every reader reads alike', () => {
  test('gives the value of JSON.parse for whatever JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value);
        expect(readStrictJson(bytes(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  test.each([
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '[{"x":{"b":[],"b":0}}]',
    '\uFEFF{}',
    '{"a":1,}',
    '',
    `${'['.repeat(200)}${']'.repeat(200)}`,
  ])('%s has none', (text) => expect(readStrictJson(bytes(text))).toBeUndefined());

  test('of a flood of parts, in keys or without any, no more is looked at than shows that it is one', () => {
    const usedMs = ownTime();
    expect(readStrictJson(bytes(`[${'[],'.repeat(1_300_000)}1]`))).toBeUndefined();
    expect(usedMs()).toBeLessThan(500);
    expect(readStrictJson(bytes(JSON.stringify(Array.from({ length: 100_000 }, () => 1))))).toBeDefined();
  });

  test('bytes that are no UTF-8 have none', () => {
    expect(readStrictJson(Buffer.from([0x22, 0xff, 0x22]))).toBeUndefined();
  });

  test('the same key in two objects is no repetition, nor is text that looks like one', () => {
    expect(readStrictJson(bytes('[{"a":1},{"a":"\\"a\\":{}","b":{"a":2}}]'))).toBeDefined();
  });
});

const call = (tool: string, id = 1): object => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: tool, arguments: {} },
});
const calls = (message: unknown) => readMcpCalls(bytes(JSON.stringify(message)));

describe('messages of MCP', () => {
  test('requests, notifications and batches are told; answers ask for nothing', () => {
    expect(
      calls([call('a'), { jsonrpc: '2.0', method: 'notifications/initialized' }, { jsonrpc: '2.0', id: 1, result: {} }])?.calls,
    ).toEqual([
      { method: 'tools/call', tool: 'a' },
      { method: 'notifications/initialized', tool: undefined },
    ]);
  });

  test.each([
    ['another version', { jsonrpc: '1.0', method: 'ping' }],
    ['a method in other case', { jsonrpc: '2.0', method: 'ping', Method: 'tools/call' }],
    ['a method only in other case', { jsonrpc: '2.0', Method: 'tools/call', params: { name: 'a' } }],
    ['parameters in other case', { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'a', Name: 'b' } }],
    ['a key that folds to another', { jsonrpc: '2.0', id: 1, method: 'ping', 'param\u017f': {} }],
    ['a call and an answer in one', { jsonrpc: '2.0', id: 1, method: 'ping', result: {} }],
    ['a call of no tool', { jsonrpc: '2.0', id: 1, method: 'tools/call', params: {} }],
    ['neither call nor answer', { jsonrpc: '2.0', id: 1 }],
    ['nothing', []],
    ['a text', 'ping'],
  ])('%s is refused', (_, message) => {
    expect(calls(message)).toBeUndefined();
  });

  const refused = (tools: readonly string[] | undefined, methods: readonly string[] | undefined, message: unknown): unknown =>
    refusedCalls([{ path: '/mcp', tools, methods }], calls(message) ?? { kind: 'mcp', calls: [] }).map(
      ({ method, tool }) => tool ?? method,
    );

  test('only named tools may be called, in a batch each by itself', () => {
    expect(refused(['read_*'], undefined, [call('read_file'), call('write_file')])).toEqual(['write_file']);
    expect(refused([], undefined, call('x'))).toEqual(['x']);
    expect(refused(undefined, undefined, call('x'))).toEqual([]);
  });

  test('methods beside the session are refused unless they are named', () => {
    const message = { jsonrpc: '2.0', id: 1, method: 'resources/read', params: {} };
    expect(refused(['a'], undefined, message)).toEqual(['resources/read']);
    expect(refused(['a'], ['resources/*'], message)).toEqual([]);
    expect(refused(['a'], undefined, { jsonrpc: '2.0', id: 1, method: 'tools/list' })).toEqual([]);
  });
});

test('a message of very many keys is refused before it costs much', () => {
  const keys = Object.fromEntries(Array.from({ length: 300_000 }, (_, index) => [`k${index}`, 0]));
  const message = bytes(
    JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'read', arguments: keys } }),
  );
  const usedMs = ownTime();
  expect(readMcpCalls(message)).toBeUndefined();
  expect(usedMs()).toBeLessThan(1000);
});
