import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { agentOf } from '../../../src/agents/described/agent-of.ts';
import { outputReader } from '../../../src/agents/described/output-reader.ts';
import { parseAgent } from '../../../src/agents/described/parse-agent.ts';
import { agentJsonSchema, agentKeysAt } from '../../../src/agents/described/schema.ts';
import { isCasemateError } from '../../../src/base/errors.ts';
import { ownTime } from '../../helpers/own-time.ts';

/** Agents that files describe: what a file may say, and what it comes to. */

const opencode = readFileSync(join(import.meta.dirname, '../../../docs/agents/opencode.yaml'), 'utf8');
const least = 'version: 1\nname: mine\ntitle: Mine\nimage: base\nprogram: mine\npermissions: { skip: {} }\n';

const parsed = (text: string) => parseAgent({ source: '/x/mine.yaml', text });

function faultIn(text: string): string {
  try {
    parsed(text);
    return 'nothing';
  } catch (error) {
    return isCasemateError(error) && error.code === 'AGENT_INVALID' ? `${error.message} | ${error.hint ?? ''}` : String(error);
  }
}

describe('a description', () => {
  it.each([
    ['progam: x\n', '/x/mine.yaml:7:1: unknown key "progam" | Did you mean "program"?'],
    ['hosts: [{ host: a.example, credentials: true }]\n', '7:28: unknown key "credentials" | Did you mean "credential"?'],
    ['hosts: [{ host: "*" }]\n', '7:17: hosts[0].host "*": a host of "*" would allow everything'],
    ['hosts: [{ host: a.example, credential: true }]\n', 'the agent has no credential that could go there'],
    [
      'credential: anthropic\nhosts: [{ host: a.example, credential: true }]\n',
      '8:17: the credential "anthropic" does not go to',
    ],
    [
      'credential: github\nhosts: [{ host: "*.github.com", credential: true }]\n',
      'the credential "github" does not go to *.github.com',
    ],
    ['credential: claude-login\n', '"claude-login" is the login of another agent'],
    ['env: { LD_PRELOAD: /x.so }\n', '"LD_PRELOAD" is a variable that the sandbox sets itself'],
    ['env: { https_proxy: "http://x" }\n', 'is a variable that the sandbox sets itself'],
    ['env: { ANTHROPIC_API_KEY: x }\n', 'is a variable that the sandbox sets itself'],
    ['env: { NODE_EXTRA_CA_CERTS: x }\n', 'is a variable that the sandbox sets itself'],
    ['env: { MINE: sk-ant-api03-REALrealREALrealREALrealREAL }\n', 'looks like a secret'],
    ['args: ["--key=ghp_REALrealREALrealREALrealREALrealREAL"]\n', 'looks like a secret'],
    ['files: [{ path: ../x, content: "" }]\n', 'without . and ..'],
    ['files: [{ path: /etc/x, content: "" }]\n', 'must be a plain path'],
    ['files: [{ path: .casemate/mcp.json, content: "" }]\n', 'lies in a folder that the sandbox writes itself'],
    ['copies: [{ path: .ssh, kind: folder }]\n', 'is a place where keys or programs of the host lie'],
    ['copies: [{ path: .config, kind: folder }]\n', 'is a place where keys or programs of the host lie'],
    ['copies: [{ path: .config/casemate/policy.yaml, kind: file }]\n', 'is a place where keys or programs of the host lie'],
    ['copies: [{ path: .mine/credentials.json, kind: file }]\n', 'is a place where keys or programs of the host lie'],
    ['copies: [{ path: .mine, kind: folder, levels: [maximum] }]\n', 'must be one of personal, team, service'],
    ['prompt: [run, "{prompt}"]\n', 'a prompt that begins with a dash would be an option'],
    ['prompt: [run]\n', '{prompt} must stand there once'],
    ['prompt: [--, "{prompt}", more]\n', 'a prompt that begins with a dash would be an option'],
    ['task: { args: ["{prompt}"], output: { form: text } }\n', 'the task is handed in on standard input'],
    ['task: { args: [], output: { form: lines } }\n', 'needs "events" beside it'],
    ['task: { args: [], output: { form: text, fields: {} } }\n', 'says nothing for output of the form text'],
    ['task: { args: [], model: [--model], output: { form: text } }\n', 'must hold {value} once'],
  ])('is refused where it says %s', (more, fault) => {
    expect(faultIn(`${least}${more}`)).toContain(fault);
  });

  it.each(['none', 'github', 'npm', 'anthropic', 'Mine', '-x', '../x'])('is not called %s', (name) => {
    expect(faultIn(least.replace('name: mine', `name: ${JSON.stringify(name)}`))).toMatch(
      /is the name of something else|is not a name/,
    );
  });

  it('says how it asks, or how it does not', () => {
    expect(faultIn(least.replace('{ skip: {} }', '{}'))).toContain('6:14: permissions says neither');
    const agent = agentOf(parsed(least));
    expect(() => agent.start({ permissions: 'ask', prompt: undefined, args: [] })).toThrow('Mine has no way to ask');
    expect(() => agent.env({ permissions: 'ask', telemetry: false, phantom: undefined })).toThrow('no way to ask');
    expect(() => agent.start({ permissions: 'skip', prompt: 'x', args: [] })).toThrow('takes no prompt');
    expect(() => agent.print.command({ permissions: 'skip' })).toThrow('no way to work without a person');
  });

  it('is a row like the ones in code', () => {
    const agent = agentOf(parsed(opencode));
    expect(agent.start({ permissions: 'skip', prompt: '--version', args: [] })).toEqual(['opencode', 'run', '--', '--version']);
    expect(agent.print.command({ permissions: 'ask', model: 'a/b', resume: 'ses_1' })).toEqual([
      'opencode',
      'run',
      '--format',
      'json',
      '--model=a/b',
      '--session=ses_1',
    ]);
    expect(() => agent.print.command({ permissions: 'ask', maxBudgetUsd: 1 })).toThrow('maxBudgetUsd cannot be honoured');
    expect(agent.env({ permissions: 'ask', telemetry: false, phantom: undefined })['OPENCODE_PERMISSION']).toContain(
      '"edit":"ask"',
    );
    expect(agent.classification.maximum).toEqual([]);
    expect(agent.classification.team.map(({ path }) => path)).toEqual(['.config/opencode/command']);
  });

  it('may take its task as an argument, behind which nothing stands, and as long as one may be', () => {
    const text = `${least}task: { args: [do, --, "{prompt}"], input: argument, model: ["-m", "{value}"], output: { form: text } }\n`;
    const { print } = agentOf(parsed(text));
    expect(print.command({ permissions: 'skip', model: 'm', prompt: '$& --yes' })).toEqual([
      'mine',
      'do',
      '-m',
      'm',
      '--',
      '$& --yes',
    ]);
    expect(() => print.command({ permissions: 'skip', prompt: 'x'.repeat(130_000) })).toThrow('longer than one may be');
  });

  it('puts the stand-in of its key where the agent looks', () => {
    const agent = agentOf(parsed(`${least}files: [{ path: .mine/auth.json, content: '{"key":"{phantom}"}' }]\n`));
    const [file] = agent.homeFiles({ permissions: 'skip', telemetry: false, phantom: 'p$&' });
    expect(file).toEqual({ path: '.mine/auth.json', content: '{"key":"p$&"}', mode: 0o600 });
  });

  it('has a schema that names every key', () => {
    expect(agentJsonSchema().$schema).toContain('2020-12');
    expect(agentKeysAt(['hosts', 0])).toEqual(['host', 'ports', 'allow', 'credential', 'telemetry']);
    expect(agentKeysAt(['task', 'output', 'events', 3])).toContain('when');
  });
});

describe('output', () => {
  const outputOf = (output: string) => {
    const { task } = parsed(`${least}task: { args: [], output: ${output} }\n`);
    return outputReader(task?.output ?? { form: 'text' });
  };

  it('of plain text is the result', () => {
    const read = outputOf('{ form: text }');
    expect(read('one')).toBeUndefined();
    expect(read('two')).toBeUndefined();
    expect(read(undefined)).toEqual({ report: { result: 'one\ntwo', failed: false } });
  });

  it('of plain text is bounded', () => {
    const read = outputOf('{ form: text }');
    for (let line = 0; line < 40; line += 1) {
      read(`${line} ${'x'.repeat(50_000)}`);
    }
    const spent = ownTime();
    for (let line = 0; line < 50_000; line += 1) {
      read('');
    }
    expect(spent()).toBeLessThan(1000);
    expect(read(undefined)?.report?.result?.length).toBeLessThan(1024 * 1024 + 1);
  });

  it('of one document has its fields by path', () => {
    const form = '{ form: json, fields: { result: a.0.text, cost: c, inputTokens: u.in }, failed: { at: bad, is: true } }';
    const read = outputOf(form);
    read('{"a":[{"text":"done"}],');
    read('"c":2,"u":{"in":-1},"bad":false}');
    expect(read(undefined)?.report).toMatchObject({ result: 'done', costUsd: 2, failed: false, usage: { inputTokens: 0 } });
    const other = outputOf(form);
    other('{"bad":true}');
    expect(other(undefined)?.report).toMatchObject({ failed: true });
    const none = outputOf(form);
    none('Segmentation fault');
    expect(none(undefined)?.report).toEqual({ result: 'Segmentation fault', failed: true });
  });

  it('of events is added up, and may be anything', () => {
    const read = outputReader(parsed(opencode).task?.output ?? { form: 'text' });
    const step = '{"type":"step_finish","part":{"cost":0.5,"tokens":{"input":3,"output":1,"cache":{"read":0,"write":0}}}}';
    expect(read('{"type":"text","sessionID":"ses_1","part":{"text":"hi\\n\\nyou"}}')).toEqual({
      say: ['hi', 'you'],
      report: { result: 'hi\n\nyou', conversation: 'ses_1' },
    });
    expect(read('{"type":"tool_use","part":{"tool":"bash"}}')?.say).toEqual(['> bash']);
    expect(read(step)?.report).toMatchObject({ costUsd: 0.5, usage: { inputTokens: 3 } });
    expect(read(step)?.report).toMatchObject({ costUsd: 1, usage: { inputTokens: 6, outputTokens: 2 } });
    for (const line of ['', 'x', '[]', '{"type":7}', '{"type":"text","part":null}', '{"__proto__":{"type":"text"}}']) {
      expect(() => read(line)).not.toThrow();
    }
    expect(read(undefined)).toEqual({ report: { failed: false } });
  });

  it('of events that says it failed stays failed', () => {
    const read = outputReader(parsed(opencode).task?.output ?? { form: 'text' });
    expect(read('{"type":"error","error":{"data":{"message":"no"}}}')?.report).toEqual({ result: 'no', failed: true });
    expect(read(undefined)).toBeUndefined();
  });
});
