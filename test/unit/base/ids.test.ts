import { describe, expect, it } from 'vitest';

import { newSandboxId, parseSandboxId, parseSandboxName } from '../../../src/base/ids.ts';

describe('sandbox names and ids', () => {
  it('makes ids that it reads back', () => {
    const id = newSandboxId(() => Buffer.from('0011223344556677', 'hex'));
    expect(parseSandboxId(id)).toBe('cm-0011223344556677');
  });

  it.each(['', '-a', 'a-', 'A', 'a/b', '../x', 'a b', 'a\n', 'x'.repeat(41), 'cm-0011223344556677', '$(id)'])(
    'refuses the name %j',
    (name) => {
      expect(() => parseSandboxName(name)).toThrow(/is not a sandbox name/);
    },
  );
});
