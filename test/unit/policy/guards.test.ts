import { describe, expect, it } from 'vitest';

import { noGuards } from '../../../src/policy/guards.ts';
import { resolveTexts, thrownBy } from './samples.ts';

describe('budgets, packages and uploads over the layers', () => {
  it('nothing written gives nothing but the search for known secrets', () => {
    expect(resolveTexts({}).guards).toEqual(noGuards);
  });

  it('budgets of all files hold together, so that none can be loosened below', () => {
    const { guards } = resolveTexts({
      organisation: 'budgets: [{ spend: 50, per: day, over: all, credential: anthropic }]',
      user: 'budgets: [{ requests: 1000, bytesOut: 10MiB }]',
      project: 'budgets: [{ tokens: 5000, per: hour }, { spend: 0 }]',
    });
    expect(guards.budgets.map(({ credential, per, over, limits }) => ({ credential, per, over, limits }))).toEqual([
      { credential: 'anthropic', per: 'day', over: 'all', limits: { spendMicros: 50_000_000 } },
      { credential: undefined, per: 'life', over: 'sandbox', limits: { requests: 1000, bytesOut: 10 * 1024 ** 2 } },
      { credential: undefined, per: 'hour', over: 'sandbox', limits: { tokens: 5000 } },
      { credential: undefined, per: 'life', over: 'sandbox', limits: { spendMicros: 0 } },
    ]);
  });

  it('a package rule keeps its exceptions to itself', () => {
    const { guards } = resolveTexts({
      user: 'packages: { minAge: 7d, block: ["left-pad@<1.3", "pypi:requests@>=2,<2.32"] }',
      project: 'packages: { minAge: 1d, allow: ["@mine/*"], registries: { npm: [packages.example] } }',
    });
    expect(guards.packages.map(({ minAgeMs, block, allow }) => ({ minAgeMs, block, allow }))).toEqual([
      {
        minAgeMs: 7 * 86_400_000,
        block: [
          { ecosystem: undefined, name: 'left-pad', range: '<1.3' },
          { ecosystem: 'pypi', name: 'requests', range: '>=2,<2.32' },
        ],
        allow: [],
      },
      { minAgeMs: 86_400_000, block: [], allow: [{ ecosystem: undefined, name: '@mine/*', range: undefined }] },
    ]);
    expect(guards.registries).toEqual([{ ecosystem: 'npm', host: 'packages.example' }]);
  });

  it('the highest file that prices a model decides, and cache prices follow from the input', () => {
    const { guards } = resolveTexts({
      organisation: 'prices: { claude-x: { input: 10, output: 50 } }',
      user: 'prices: { claude-x: { input: 0, output: 0 }, other: { input: 1, output: 2, cacheRead: 0.5, cacheWrite: 3 } }',
    });
    expect(guards.prices.toSorted((a, b) => a.model.localeCompare(b.model))).toEqual([
      { model: 'claude-x', input: 10, output: 50, cacheRead: 1, cacheWrite: 20 },
      { model: 'other', input: 1, output: 2, cacheRead: 0.5, cacheWrite: 3 },
    ]);
  });

  it.each([
    ['budgets: [{ per: day }]', /budgets\[?.*needs at least one of requests/],
    ['budgets: [{ spend: -1 }]', /spend/],
    ['packages: { block: ["a b"] }', /is not a package/],
    ['packages: { block: ["left-pad@>=x.y.z"] }', /has a range of versions that cannot be read/],
    ['packages: { minAge: 7 }', /minAge/],
    ['uploads: { secrets: maybe }', /secrets/],
  ])('%s is refused where it stands', (text, message) => {
    expect(thrownBy(() => resolveTexts({ user: text }))).toMatch(message);
  });

  it.each([
    ['prices: { claude: { input: 0, output: 0 } }', 'must not price models'],
    ['uploads: { secrets: off }', 'must not let known secrets out'],
    ['uploads: { secrets: mask }', 'must not let known secrets out'],
    ['uploads: { envFiles: false }', 'must not let known secrets out'],
    ['uploads: { except: [TOKEN] }', 'must not let known secrets out'],
  ])('a project file cannot say %s', (text, message) => {
    expect(thrownBy(() => resolveTexts({ project: text }))).toContain(message);
  });

  it('a user cannot loosen what the organisation says about secrets, and the error names both places', () => {
    const organisation = 'uploads: { secrets: refuse, envFiles: true }';
    const thrown = (user: string): string => thrownBy(() => resolveTexts({ organisation, user }));
    expect(thrown('uploads: { secrets: mask }')).toMatch(/POLICY_WIDENS .*config.*uploads\.secrets mask.*\/etc\/casemate/);
    expect(thrown('uploads: { envFiles: false }')).toMatch(/POLICY_WIDENS .*uploads\.envFiles false/);
    expect(thrown('uploads: { except: [TOKEN] }')).toMatch(/POLICY_WIDENS .*uploads\.except/);
    expect(resolveTexts({ user: 'uploads: { secrets: mask, except: [TOKEN] }' }).guards.secrets).toEqual({
      mode: 'mask',
      envFiles: true,
      except: ['TOKEN'],
    });
  });
});
