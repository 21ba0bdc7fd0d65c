/** A sandbox without an agent, though a policy names one. */
import { expect, test } from 'vitest';

import { resolveTexts, thrownBy, type Texts } from './samples.ts';

const thrown = (texts: Texts): string => thrownBy(() => resolveTexts(texts));

test('lets whoever may choose no other agent do without, and opens nothing with it', () => {
  const claude = 'agent: { name: claude, permissions: skip }\npresets: []';
  for (const texts of [
    { user: claude, project: 'agent: none' },
    { organisation: claude, user: 'agent: { name: none }' },
  ]) {
    expect(resolveTexts(texts)).toMatchObject({ agent: { name: undefined }, image: 'base' });
  }
  const bedrock = 'agent: { name: claude, provider: bedrock, region: eu-west-1 }';
  expect(resolveTexts({ user: bedrock, project: 'agent: none' }).agent).not.toHaveProperty('provider');
  expect(thrown({ organisation: 'agent: claude', user: 'agent: none', project: 'agent: codex' })).toMatch(/^POLICY_WIDENS/);
  expect(thrown({ organisation: 'agent: none', user: 'agent: codex' })).toMatch(/^POLICY_WIDENS/);
});
