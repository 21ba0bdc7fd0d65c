import { describe, expect, it } from 'vitest';

import { agents } from '../../../src/agents/agents.ts';
import { lineReader } from '../../../src/mcp/line-reader.ts';
import { changesBetween } from '../../../src/mcp/changed-files.ts';

describe('an agent without a person', () => {
  const { claude, codex } = agents;

  it('asks as its policy says, and a list of tools is the tighter word', () => {
    expect(claude.print.command({ permissions: 'skip' })).toContain('--dangerously-skip-permissions');
    const command = claude.print.command({ permissions: 'skip', tools: ['Read', 'Bash(git status:*)', 'Bash(ls:*)'] });
    expect(command).toEqual(expect.arrayContaining(['--tools=Read,Bash', '--allowedTools=Read,Bash(git status:*),Bash(ls:*)']));
    expect(command).not.toContain('--dangerously-skip-permissions');
    expect(codex.print.command({ permissions: 'ask' })).not.toContain('--dangerously-bypass-approvals-and-sandbox');
    expect(() => codex.print.command({ permissions: 'ask', maxBudgetUsd: 1 })).toThrow('maxBudgetUsd cannot be honoured');
  });

  it('takes its task on standard input, never as an argument', () => {
    expect(claude.print.command({ permissions: 'ask', resume: 'abc', model: 'm', maxBudgetUsd: 2 })).toEqual([
      'claude',
      '-p',
      '--permission-mode',
      'default',
      '--output-format',
      'stream-json',
      '--verbose',
      '--strict-mcp-config',
      '--model=m',
      '--max-budget-usd=2',
      '--resume=abc',
    ]);
    expect(codex.print.command({ permissions: 'ask', resume: 'abc' }).slice(-3)).toEqual(['resume', 'abc', '-']);
  });

  it.each([
    '',
    'no json',
    '[]',
    '{"type":"result"}',
    '{"type":"assistant","message":{"content":7}}',
    '{"type":"turn.completed","usage":"x"}',
    '{"type":"result","usage":{"input_tokens":"many"},"total_cost_usd":null,"__proto__":{}}',
  ])('may print anything: %s', (line) => {
    for (const agent of [claude, codex]) {
      expect(() => agent.print.reader()(line)).not.toThrow();
    }
  });

  it('has come to its end only where it says so', () => {
    const read = (object: object) => claude.print.reader()(JSON.stringify({ type: 'result', ...object }))?.report;
    expect(read({ subtype: 'success', is_error: false, result: 'done' })).toMatchObject({ failed: false, result: 'done' });
    expect(read({ subtype: 'error_max_budget_usd', is_error: true })).toMatchObject({
      failed: true,
      result: 'error_max_budget_usd',
    });
    expect(read({})).toMatchObject({ failed: true });
    // As Claude Code 2.1.329 wrote it when its own budget was used up.
    const none = { input_tokens: 0, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0 };
    const counts = { inputTokens: 2820, outputTokens: 1034, cacheReadInputTokens: 7, cacheCreationInputTokens: 3 };
    const modelUsage = { 'claude-opus-5-5': counts, 'claude-haiku-5': { ...counts, outputTokens: 6 } };
    expect(read({ subtype: 'error_max_budget_usd', usage: none, modelUsage })?.usage).toEqual({
      inputTokens: 5640,
      outputTokens: 1040,
      cacheReadTokens: 14,
      cacheWriteTokens: 6,
    });
    expect(read({ usage: { ...none, output_tokens: 5 }, modelUsage })?.usage?.outputTokens).toBe(5);
    expect(codex.print.reader()('{"type":"turn.failed","error":{"message":"no"}}')?.report).toMatchObject({
      failed: true,
      result: 'no',
    });
  });
});

describe('lines of output', () => {
  it('are put together from pieces, also in the middle of a character', () => {
    const lines: string[] = [];
    const reader = lineReader((line) => void lines.push(line));
    const bytes = Buffer.from('one\nzwö\nlast');
    bytes.forEach((byte) => reader.take(Buffer.from([byte])));
    reader.end();
    expect(lines).toEqual(['one', 'zwö', 'last']);
  });
  it('that are too long are dropped whole', () => {
    const lines: string[] = [];
    const reader = lineReader((line) => void lines.push(line));
    for (let index = 0; index < 10; index += 1) {
      reader.take(Buffer.alloc(1024 * 1024, 'x'));
    }
    reader.take(Buffer.from('tail\nnext\n'));
    expect(lines).toEqual(['next']);
  });
});

describe('lists of files', () => {
  it('tell what is new, changed and gone', () => {
    const list = (files: Record<string, string>) => ({ files: new Map(Object.entries(files)), complete: true });
    expect(changesBetween(list({ a: '1', b: '1', c: '1' }), list({ a: '1', b: '2', d: '1' }))).toEqual({
      changes: [
        { path: 'b', change: 'changed' },
        { path: 'c', change: 'removed' },
        { path: 'd', change: 'added' },
      ],
      complete: true,
    });
  });
});
