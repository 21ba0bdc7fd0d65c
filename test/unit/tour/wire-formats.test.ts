import fc from 'fast-check';
import { expect, test } from 'vitest';

import { answerMessages, messageEvents, messageJson } from '../../../src/tour/model-api/messages.ts';
import { answerResponses, responseEvents } from '../../../src/tour/model-api/responses.ts';
import type { Action, Script } from '../../../src/tour/model-api/script.ts';
import { sayOnly } from '../../helpers/say-only.ts';

/** The stand-in's two wire formats: what is streamed is what is answered whole, and outcomes are found in a conversation. */

const tools = [{ name: 'Bash' }, { name: 'Read' }, { name: 'Edit' }];
const base = { model: 'm', max_tokens: 10, tools, messages: [{ role: 'user', content: 'do it' }] };

function doing(act: Action): Script {
  return () => ({ say: 'Now.', act });
}

interface Event {
  readonly type: string;
  readonly index?: number;
  readonly delta?: { readonly text?: string; readonly partial_json?: string; readonly stop_reason?: string };
}

function eventsOf(lines: readonly string[]): readonly Event[] {
  return lines.map((line) => {
    const [event, data] = line.trimEnd().split('\n');
    const parsed = JSON.parse(data?.slice('data: '.length) ?? '') as Event;
    expect(event).toBe(`event: ${parsed.type}`);
    return parsed;
  });
}

test('streamed pieces make up the same text and tool input as the whole answer', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (command, about) => {
      const reply = answerMessages(base, doing({ kind: 'run', command, about }));
      const events = eventsOf(reply === undefined ? [] : messageEvents(reply));
      const deltas = events.filter((event) => event.type === 'content_block_delta');
      const text = deltas.map((event) => event.delta?.text ?? '').join('');
      const input = deltas.map((event) => event.delta?.partial_json ?? '').join('');
      expect(text).toBe('Now.');
      expect(JSON.parse(input)).toEqual({ command, description: about });
    }),
  );
});

test('a stream begins and ends as the Messages API says', () => {
  const reply = answerMessages(base, sayOnly('Hello.'));
  const types = eventsOf(reply === undefined ? [] : messageEvents(reply)).map((event) => event.type);
  expect(types).toEqual([
    'message_start',
    'ping',
    'content_block_start',
    'content_block_delta',
    'content_block_stop',
    'message_delta',
    'message_stop',
  ]);
});

test('outcomes are the results of our own tool calls, in order', () => {
  const seen: unknown[] = [];
  const messages = [
    { role: 'user', content: 'do it' },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_standin_0', content: 'one', is_error: true }] },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'toolu_of_another', content: 'x' },
        { type: 'text', text: 'reminder' },
      ],
    },
    {
      role: 'user',
      content: [{ type: 'tool_result', tool_use_id: 'toolu_standin_1', content: [{ type: 'text', text: 'two' }] }],
    },
  ];
  const reply = answerMessages({ ...base, messages }, (outcomes) => {
    seen.push(...outcomes);
    return { say: 'Done.', act: { kind: 'read', path: '/a' } };
  });
  expect(seen).toEqual([
    { failed: true, text: 'one' },
    { failed: false, text: 'two' },
  ]);
  expect(messageJson(reply ?? expect.fail())).toMatchObject({
    stop_reason: 'tool_use',
    content: [{ type: 'text' }, { type: 'tool_use', id: 'toolu_standin_2', name: 'Read', input: { file_path: '/a' } }],
  });
});

test('a request without tools for files is a side request and starts no work', () => {
  const asked = { ...base, tools: [] };
  const reply = answerMessages(asked, doing({ kind: 'read', path: '/a' }));
  expect(reply?.stopReason).toBe('end_turn');
  const schema = { type: 'object', properties: { title: { type: 'string' }, urgent: { type: 'boolean' } } };
  const titled = answerMessages({ ...asked, output_config: { format: { type: 'json_schema', schema } } }, sayOnly(''));
  expect(titled?.blocks).toEqual([{ type: 'text', text: '{"title":"Mend the failing test","urgent":false}' }]);
});

test.each([
  undefined,
  null,
  'x',
  [],
  {},
  { model: 'm' },
  { model: 'm', max_tokens: 1, messages: 'x' },
  { model: 1, max_tokens: 1, messages: [1] },
])('%j is no request', (body) => {
  expect(answerMessages(body, sayOnly(''))).toBeUndefined();
  expect(answerResponses(body, sayOnly(''))).toBeUndefined();
});

test('whatever the body holds, an answer or none is given', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (messages, given) => {
      answerMessages({ ...base, messages, tools: given, output_config: given }, sayOnly('x'));
      answerResponses({ model: 'm', input: messages, tools: given }, sayOnly('x'));
    }),
  );
});

test.each([
  ['exec', { additional: true }, { type: 'custom_tool_call', name: 'exec' }],
  ['exec_command', {}, { type: 'function_call', name: 'exec_command', arguments: '{"cmd":"ls"}' }],
  ['shell_command', {}, { type: 'function_call', name: 'shell_command', arguments: '{"command":"ls"}' }],
  ['other', {}, { type: 'function_call', name: 'shell', arguments: '{"command":["sh","-c","ls"]}' }],
] as const)('Codex gets a call of its own tool %s', (name, { additional }: { additional?: boolean }, expected) => {
  const item = { type: 'additional_tools', tools: [{ type: 'namespace', name: 'functions', tools: [{ type: 'custom', name }] }] };
  const body = {
    model: 'm',
    input: additional === true ? [item] : [{ type: 'message' }],
    tools: additional === true ? [] : [{ name }],
  };
  const reply = answerResponses(body, doing({ kind: 'run', command: 'ls', about: '' }));
  const done = eventsOf(responseEvents(reply ?? expect.fail())).filter((event) => event.type === 'response.output_item.done');
  expect(done[1]).toMatchObject({ item: expected });
});
