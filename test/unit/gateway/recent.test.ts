import { describe, expect, it } from 'vitest';

import { createRecent } from '../../../src/gateway/secrets/recent.ts';

describe('what is remembered of the texts seen last', () => {
  it('is worked out once for each text', () => {
    const made: string[] = [];
    const recent = createRecent((text) => made.push(text));
    expect([recent('a'), recent('b'), recent('a')]).toEqual([1, 2, 1]);
    expect(made).toEqual(['a', 'b']);
  });

  it('is bounded: the oldest is forgotten, and worked out anew', () => {
    const made: string[] = [];
    const recent = createRecent((text) => made.push(text) > 0, 2);
    for (const text of ['a', 'b', 'c', 'b', 'a']) {
      recent(text);
    }
    expect(made).toEqual(['a', 'b', 'c', 'a']);
  });
});
