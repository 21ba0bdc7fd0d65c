/** What tells our deeds on a container from those of others. */
import { describe, expect, test } from 'vitest';

import { ownEffects } from '../../../src/engines/docker/own-effects.ts';

describe('commands whose events do not say which they are', () => {
  test('are ours as often as we asked, in that container, and no more', () => {
    const effects = ownEffects(() => 0);
    effects.willRun('one');
    effects.willRun('one');
    expect([effects.wasCommandHere('other'), effects.wasCommandHere('one'), effects.wasCommandHere('one')]).toEqual([
      false,
      true,
      true,
    ]);
    expect(effects.wasCommandHere('one')).toBe(false);
  });

  test('are ours for a minute: one that never came to run accounts for no later one', () => {
    let now = 0;
    const effects = ownEffects(() => now);
    effects.willRun('one');
    now = 59_999;
    effects.willRun('one');
    now = 60_000;
    expect([effects.wasCommandHere('one'), effects.wasCommandHere('one')]).toEqual([true, false]);
  });

  test('are forgotten with their container', () => {
    const effects = ownEffects(() => 0);
    effects.willRun('one');
    effects.forget('one');
    expect(effects.wasCommandHere('one')).toBe(false);
  });
});
