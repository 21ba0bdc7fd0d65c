import { isJsonObject } from '../../base/json.ts';
import { contentText, field, listField, textField } from './fields.ts';
import type { Action, Outcome, Script, Turn } from './script.ts';

/** The Messages API form of the stand-in (platform.claude.com, "Messages" and "Streaming messages"). Pure. */

export interface Reply {
  readonly id: string;
  readonly model: string;
  readonly blocks: readonly Block[];
  readonly stopReason: 'end_turn' | 'tool_use';
  readonly inputTokens: number;
}

type Block =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly input: Readonly<Record<string, unknown>> };

const idPrefix = 'toolu_standin_';

/** `undefined` when the body is no request of this API. */
export function answerMessages(body: unknown, script: Script): Reply | undefined {
  const model = textField(body, 'model');
  const messages = listField(body, 'messages');
  if (model === '' || messages.length === 0 || typeof field(body, 'max_tokens') !== 'number') {
    return undefined;
  }
  const outcomes = outcomesOf(messages);
  const turn = isSideRequest(body) ? { say: sideAnswer(body), act: undefined } : script(outcomes);
  return {
    id: `msg_standin_${outcomes.length}`,
    model,
    blocks: blocksOf(turn, outcomes.length),
    stopReason: turn.act === undefined ? 'end_turn' : 'tool_use',
    inputTokens: countTokens(body),
  };
}

/** A rough count: four characters a token. */
export function countTokens(body: unknown): number {
  return Math.ceil(JSON.stringify(field(body, 'messages') ?? '').length / 4);
}

/** Titles, summaries and checks: the agent asks them without offering the tools that work on files. */
function isSideRequest(body: unknown): boolean {
  return !listField(body, 'tools').some((tool) => /^bash$/i.test(textField(tool, 'name')));
}

/** Where an answer in a given JSON schema is asked for, its text properties get a short title. */
function sideAnswer(body: unknown): string {
  const schema = field(field(field(body, 'output_config'), 'format'), 'schema') ?? field(field(body, 'output_format'), 'schema');
  const properties = field(schema, 'properties');
  if (!isJsonObject(properties)) {
    return 'Mend the failing test';
  }
  const filled = Object.entries(properties).map(([name, type]) => [
    name,
    textField(type, 'type') === 'boolean' ? false : 'Mend the failing test',
  ]);
  return JSON.stringify(Object.fromEntries(filled));
}

function outcomesOf(messages: readonly unknown[]): readonly Outcome[] {
  const ours = messages
    .flatMap((message) => listField(message, 'content'))
    .filter((block) => textField(block, 'type') === 'tool_result' && textField(block, 'tool_use_id').startsWith(idPrefix));
  return ours.map((block) => ({ failed: field(block, 'is_error') === true, text: contentText(field(block, 'content')) }));
}

function blocksOf({ say, act }: Turn, step: number): readonly Block[] {
  const text: Block = { type: 'text', text: say };
  return act === undefined ? [text] : [text, { type: 'tool_use', id: `${idPrefix}${step}`, ...toolCall(act) }];
}

function toolCall(action: Action): { readonly name: string; readonly input: Readonly<Record<string, unknown>> } {
  switch (action.kind) {
    case 'run':
      return { name: 'Bash', input: { command: action.command, description: action.about } };
    case 'read':
      return { name: 'Read', input: { file_path: action.path } };
    case 'edit':
      return { name: 'Edit', input: { file_path: action.path, old_string: action.before, new_string: action.after } };
    case 'tool':
      return { name: action.name, input: action.input };
    default:
      return action satisfies never;
  }
}

export function messageJson(reply: Reply): Readonly<Record<string, unknown>> {
  return {
    id: reply.id,
    type: 'message',
    role: 'assistant',
    model: reply.model,
    content: reply.blocks,
    stop_reason: reply.stopReason,
    stop_sequence: null,
    usage: { input_tokens: reply.inputTokens, output_tokens: outputTokens(reply) },
  };
}

/** The same message as server-sent events, text and tool input in several pieces. */
export function messageEvents(reply: Reply): readonly string[] {
  const start = {
    ...messageJson(reply),
    content: [],
    stop_reason: null,
    usage: { input_tokens: reply.inputTokens, output_tokens: 1 },
  };
  return [
    event({ type: 'message_start', message: start }),
    event({ type: 'ping' }),
    ...reply.blocks.flatMap(blockEvents),
    event({
      type: 'message_delta',
      delta: { stop_reason: reply.stopReason, stop_sequence: null },
      usage: { output_tokens: outputTokens(reply) },
    }),
    event({ type: 'message_stop' }),
  ];
}

function blockEvents(block: Block, index: number): readonly string[] {
  const empty = block.type === 'text' ? { type: 'text', text: '' } : { ...block, input: {} };
  const deltas =
    block.type === 'text'
      ? pieces(block.text).map((text) => ({ type: 'text_delta', text }))
      : pieces(JSON.stringify(block.input)).map((json) => ({ type: 'input_json_delta', partial_json: json }));
  return [
    event({ type: 'content_block_start', index, content_block: empty }),
    ...deltas.map((delta) => event({ type: 'content_block_delta', index, delta })),
    event({ type: 'content_block_stop', index }),
  ];
}

export function pieces(text: string): readonly string[] {
  return text.match(/[\s\S]{1,24}/gu) ?? [];
}

function event(data: { readonly type: string } & Readonly<Record<string, unknown>>): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

function outputTokens(reply: Reply): number {
  return Math.ceil(JSON.stringify(reply.blocks).length / 4);
}
