import semver from 'semver';
import { z } from 'zod';

import { ecosystems, secretModes, type PackagePattern } from '../guards.ts';
import { readHostPattern } from '../matching/parse-host-pattern.ts';
import { byteSize, durationLike, refuseValue } from './written-value.ts';

/** The form of the keys `budgets`, `prices`, `packages` and `uploads` of `casemate.yaml`. */

const duration = durationLike('12h or 7d');

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const dollars = z.number().min(0).max(1_000_000);

const budget = z
  .strictObject({
    credential: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,62}$/, 'is not the name of a credential')
      .optional()
      .describe('count only what goes with this credential; default: everything'),
    per: z
      .enum(['hour', 'day'])
      .optional()
      .describe('start anew each full hour or day (UTC); default: never, it holds for the whole life'),
    over: z
      .enum(['sandbox', 'all'])
      .optional()
      .describe('`sandbox`: of each one alone; `all`: of all sandboxes of this installation together; default `sandbox`'),
    requests: count.optional().describe('requests, and connections of other protocols'),
    bytesOut: byteSize.optional().describe('what goes out, in bytes'),
    tokens: count.optional().describe('tokens of models, in and out, read from their answers'),
    inputTokens: count.optional().describe('tokens sent to models, those read from or written to a cache included'),
    outputTokens: count.optional().describe('tokens written by models'),
    spend: dollars.optional().describe('US dollars, by the table of prices'),
  })
  .refine(
    ({ requests, bytesOut, tokens, inputTokens, outputTokens, spend }) =>
      [requests, bytesOut, tokens, inputTokens, outputTokens, spend].some((one) => one !== undefined),
    { error: 'needs at least one of requests, bytesOut, tokens, inputTokens, outputTokens and spend' },
  );

export const budgets = z.array(budget).max(64);

const price = z.strictObject({
  input: dollars.describe('a million tokens sent'),
  output: dollars.describe('a million tokens written'),
  cacheRead: dollars.optional().describe('a million tokens read from the cache; default: a tenth of `input`'),
  cacheWrite: dollars.optional().describe('a million tokens written to the cache; default: twice `input`'),
});

export const prices = z.record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$/, 'is not the name of a model'), price);

const patternForm = /^(?:(npm|pypi):)?((?:@[a-z0-9*~][a-z0-9*._~-]*\/)?[A-Za-z0-9*_~-][A-Za-z0-9*._~-]*)(?:@(.{1,128}))?$/;

const packagePattern = z.string().transform((value, ctx): PackagePattern => {
  const match = patternForm.exec(value);
  if (match?.[2] === undefined) {
    return refuseValue(ctx, value, 'is not a package; write a name, and maybe a range: left-pad, @scope/*, pypi:requests@<2.32');
  }
  const ecosystem = ecosystems.find((one) => one === match[1]);
  const range = match[3];
  if (range !== undefined && ecosystem !== 'pypi' && semver.validRange(range) === null) {
    return refuseValue(ctx, value, `has a range of versions that cannot be read: ${range}`);
  }
  return { ecosystem, name: match[2], range };
});

const host = z.string().transform((value, ctx) => {
  const reading = readHostPattern(value);
  return 'pattern' in reading && reading.pattern.kind === 'exact'
    ? reading.pattern.host
    : refuseValue(ctx, value, 'is not the name of a host');
});

export const packages = z.strictObject({
  minAge: duration.optional().describe('versions published later than this ago are not offered, such as `7d`'),
  block: z
    .array(packagePattern)
    .max(1024)
    .optional()
    .describe('packages that are not offered: `name`, `name@range`, `@scope/*`, `pypi:name@range`'),
  allow: z
    .array(packagePattern)
    .max(1024)
    .optional()
    .describe('packages that may be younger than the `minAge` beside it; never an exception from a file above'),
  registries: z
    .strictObject({
      npm: z.array(host).max(64).optional().describe('hosts that speak the interface of npm'),
      pypi: z.array(host).max(64).optional().describe('hosts that speak the interface of PyPI, or hold its files'),
    })
    .optional()
    .describe('hosts of registries beside those of the presets `npm` and `pypi`'),
});

export const uploads = z.strictObject({
  maxBytes: byteSize.optional().describe('largest content of one request'),
  perHour: byteSize.optional().describe('all that goes out of a sandbox in one hour'),
  secrets: z
    .enum(secretModes)
    .optional()
    .describe(
      'what happens to a known secret of this host in a request: `refuse` it, `mask` the secret, or `off`; default `refuse`. A project file cannot loosen it',
    ),
  envFiles: z
    .boolean()
    .optional()
    .describe(
      "whether the values in the project's ignored `.env` files are known secrets; default `true`. Not in a project file",
    ),
  except: z
    .array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'is not the name of a variable'))
    .max(256)
    .optional()
    .describe('variables of env files whose values may leave. Not in a project file'),
});
