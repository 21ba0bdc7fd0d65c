import { describe, expect, it } from 'vitest';

import { askingCommand, observe, readAnswers } from '../../../src/proof/inside/observe.ts';
import { probes } from '../../../src/proof/probes.ts';

const said = (text: string) => () => Promise.resolve({ code: 0, out: Buffer.from(text), err: Buffer.alloc(0) });

describe('answers from inside', () => {
  it('count only with the nonce of the call, as strict JSON', () => {
    const answers = readAnswers(
      [
        'N a {"answer":[1]}',
        'M b {"answer":"forged"}',
        'N c {"answer":',
        'N d []',
        ' N e {"answer":1}',
        'N f {"died":31}',
        'N g {"fault":"x"}',
      ].join('\n'),
      'N',
    );
    expect(Object.fromEntries(answers)).toEqual({
      a: { answer: [1] },
      c: { missing: 'the answer is malformed' },
      f: { missing: 'the probe was ended by signal 31' },
      g: { missing: 'x' },
    });
  });

  it('are missing, with the last words of the probe, where it broke off', async () => {
    const broken = () => Promise.resolve({ code: 127, out: Buffer.alloc(0), err: Buffer.from('one\nsh: perl: not found\n') });
    expect((await observe(broken, ['status'])).get('status')).toEqual({
      missing: 'the probe ended with 127: sh: perl: not found',
    });
  });

  it('of an earlier call are not taken for those of this one', async () => {
    expect((await observe(said('0123456789abcdef01234567 status {"answer":{}}\n'), ['status'])).get('status')).toHaveProperty(
      'missing',
    );
  });
});

describe('the program that asks', () => {
  const questions = [...new Set(Object.values(probes).flatMap(({ asks }) => asks ?? []))];

  it('knows every question that a probe puts, and fits into one argument', async () => {
    const [, , program = ''] = await askingCommand('N', questions);
    for (const question of questions) {
      expect(program).toContain(`$Q{${question}}`);
    }
    // MAX_ARG_STRLEN (execve(2))
    expect(Buffer.byteLength(program)).toBeLessThan(128 * 1024);
  });
});

describe('every probe', () => {
  it.each(Object.entries(probes))('%s says what it tries, for what, and belongs to a group', (id, probe) => {
    expect(id).toMatch(/^[a-z]+\.[a-z0-9-]+$/);
    expect(probe.title).toMatch(/^[a-z]/);
    expect(probe.proves.length).toBeGreaterThan(0);
    expect(probe.profile === 'quick' && probe.where === 'lab').toBe(false);
  });
});
