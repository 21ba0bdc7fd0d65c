import { contentText, field, listField, textField } from './fields.ts';
import { countTokens, pieces } from './messages.ts';
import type { Action, Outcome, Script } from './script.ts';

/** The Responses API form of the stand-in, as far as Codex 0.169.0 uses it (platform.openai.com, "Responses"). Pure. */

export interface ResponseReply {
  readonly id: string;
  readonly model: string;
  readonly say: string;
  readonly call: ({ readonly id: string } & Call) | undefined;
  readonly inputTokens: number;
}

/** A tool takes JSON arguments (`function`) or a text of its own form (`custom`). */
interface Call {
  readonly kind: 'function' | 'custom';
  readonly name: string;
  readonly input: string;
}

const idPrefix = 'call_standin_';

export function answerResponses(body: unknown, script: Script): ResponseReply | undefined {
  const model = textField(body, 'model');
  const input = listField(body, 'input');
  if (model === '' || input.length === 0) {
    return undefined;
  }
  const outcomes = outcomesOf(input);
  const { say, act } = script(outcomes);
  const call = act && { id: `${idPrefix}${outcomes.length}`, ...callOf(act, body) };
  return { id: `resp_standin_${outcomes.length}`, model, say, call, inputTokens: countTokens({ messages: input }) };
}

function outcomesOf(input: readonly unknown[]): readonly Outcome[] {
  return input
    .filter((item) => textField(item, 'type').endsWith('_call_output') && textField(item, 'call_id').startsWith(idPrefix))
    .map((item) => contentText(field(item, 'output')))
    .map((text) => ({
      text,
      failed: /(?:exited with code|exit code:?) [1-9]|unsupported call|rejected|"exit_code":\s*[1-9]/i.test(text),
    }));
}

/** Codex works on files through its shell tool, whose name and form differ by model family. */
function callOf(action: Action, body: unknown): Call {
  const command = shellText(action);
  const names = toolNames(body);
  if (names.includes('exec')) {
    const program = `const r = await tools.exec_command(${JSON.stringify({ cmd: command, login: false, yield_time_ms: 30_000 })});`;
    return {
      kind: 'custom',
      name: 'exec',
      input: `${program}\ntext(r.output); text(JSON.stringify({ exit_code: r.exit_code }));`,
    };
  }
  if (names.includes('exec_command')) {
    return { kind: 'function', name: 'exec_command', input: JSON.stringify({ cmd: command }) };
  }
  return names.includes('shell_command')
    ? { kind: 'function', name: 'shell_command', input: JSON.stringify({ command }) }
    : { kind: 'function', name: 'shell', input: JSON.stringify({ command: ['sh', '-c', command] }) };
}

/** Tools stand in `tools`, or in items of the input, there grouped by name spaces. */
function toolNames(body: unknown): readonly string[] {
  const added = listField(body, 'input').flatMap((item) => listField(item, 'tools'));
  return [...listField(body, 'tools'), ...added]
    .flatMap((tool) => [tool, ...listField(tool, 'tools')])
    .map((tool) => textField(tool, 'name'));
}

function shellText(action: Action): string {
  switch (action.kind) {
    case 'run':
      return action.command;
    case 'read':
      return `cat ${quoted(action.path)}`;
    case 'edit':
      return ['node', '-e', quoted(replaceProgram), ...[action.path, action.before, action.after].map(quoted)].join(' ');
    case 'tool':
      return `echo ${quoted(`the stand-in does not call ${action.name} here`)} >&2; exit 1`;
    default:
      return action satisfies never;
  }
}

const replaceProgram =
  'const fs=require("fs");const[p,b,a]=process.argv.slice(1);const t=fs.readFileSync(p,"utf8");' +
  'if(!t.includes(b)){throw new Error("text not found")}fs.writeFileSync(p,t.replace(b,()=>a))';

/** POSIX quoting. The sandboxed agent's shell reads this, never one of ours. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

interface Item extends Readonly<Record<string, unknown>> {
  readonly id: string;
}

function itemsOf(reply: ResponseReply): readonly Item[] {
  const content = [{ type: 'output_text', text: reply.say, annotations: [] }];
  const message: Item = { type: 'message', id: `${reply.id}_message`, status: 'completed', role: 'assistant', content };
  if (reply.call === undefined) {
    return [message];
  }
  const { id, kind, name, input } = reply.call;
  const form = kind === 'function' ? { type: 'function_call', arguments: input } : { type: 'custom_tool_call', input };
  return [message, { ...form, id: `${reply.id}_call`, call_id: id, name, status: 'completed' }];
}

export function responseJson(reply: ResponseReply): Readonly<Record<string, unknown>> {
  const output = itemsOf(reply);
  const outputTokens = Math.ceil(JSON.stringify(output).length / 4);
  const usage = {
    input_tokens: reply.inputTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: reply.inputTokens + outputTokens,
  };
  return { id: reply.id, object: 'response', status: 'completed', model: reply.model, output, usage };
}

export function responseEvents(reply: ResponseReply): readonly string[] {
  const done = responseJson(reply);
  const events = [
    { type: 'response.created', response: { ...done, status: 'in_progress', output: [], usage: null } },
    ...itemsOf(reply).flatMap((item, index) => [
      { type: 'response.output_item.added', output_index: index, item },
      ...(index === 0 ? pieces(reply.say) : []).map((delta) => ({
        type: 'response.output_text.delta',
        item_id: item.id,
        output_index: 0,
        content_index: 0,
        delta,
      })),
      { type: 'response.output_item.done', output_index: index, item },
    ]),
    { type: 'response.completed', response: done },
  ];
  return events.map((event, index) => `event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: index })}\n\n`);
}
