import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { stepsOf } from '../../../src/tour/agent-steps.ts';

const assistant = (content: unknown): string => JSON.stringify({ type: 'assistant', message: { content } });

describe('steps of the agent', () => {
  it('shows what it says and what it does, one line each', () => {
    expect(stepsOf(assistant([{ type: 'text', text: 'First\nSecond' }]))).toEqual(['First', 'Second']);
    expect(stepsOf(assistant([{ type: 'tool_use', name: 'Bash', input: { command: 'npm\n test' } }]))).toEqual([
      '> Bash: npm test',
    ]);
    expect(stepsOf(assistant([{ type: 'tool_use', name: 'Edit', input: { file_path: '/workspace/a.js' } }]))).toEqual([
      '> Edit: /workspace/a.js',
    ]);
  });

  it('shows the first lines of a result and counts the rest', () => {
    const result = JSON.stringify({ type: 'user', message: { content: [{ type: 'tool_result', content: 'a\nb\nc\nd\ne' }] } });
    expect(stepsOf(result)).toEqual(['    a', '    b', '    c', '    ... 2 more lines']);
  });

  it('passes what is not JSON through and is silent about the rest', () => {
    expect(stepsOf('Not logged in')).toEqual(['Not logged in']);
    expect(stepsOf('{"type":"system"}')).toEqual([]);
  });

  it('takes any line', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => Array.isArray(stepsOf(line))));
  });
});
