import semver from 'semver';
import { z } from 'zod';

import { plainName } from '../../base/plain-name.ts';
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
      .regex(plainName, 'is not the name of a credential')
      .optional()
      .describe('count only what goes with this credential; default: everything'),
    per: z
      .enum(['hour', 'day'])
      .optional()
      .describe('start again at each full hour or day (UTC); default: never, the budget is for the whole lifetime'),
    over: z
      .enum(['sandbox', 'all'])
      .optional()
      .describe(
        '`sandbox`: for each sandbox separately; `all`: for all sandboxes of this installation together; default `sandbox`',
      ),
    requests: count.optional().describe('requests, and connections of other protocols'),
    bytesOut: byteSize.optional().describe('bytes sent'),
    tokens: count.optional().describe('model tokens, input and output, as reported in the responses'),
    inputTokens: count.optional().describe('input tokens, including those read from or written to a cache'),
    outputTokens: count.optional().describe('output tokens'),
    spend: dollars.optional().describe('US dollars, computed from the table of prices'),
  })
  .refine(
    ({ requests, bytesOut, tokens, inputTokens, outputTokens, spend }) =>
      [requests, bytesOut, tokens, inputTokens, outputTokens, spend].some((one) => one !== undefined),
    { error: 'needs at least one of requests, bytesOut, tokens, inputTokens, outputTokens and spend' },
  );

export const budgets = z.array(budget).max(64);

const price = z.strictObject({
  input: dollars.describe('per million input tokens'),
  output: dollars.describe('per million output tokens'),
  cacheRead: dollars.optional().describe('per million tokens read from the cache; default: a tenth of `input`'),
  cacheWrite: dollars.optional().describe('per million tokens written to the cache; default: twice `input`'),
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
  minAge: duration.optional().describe('versions published more recently than this are not offered, such as `7d`'),
  block: z
    .array(packagePattern)
    .max(1024)
    .optional()
    .describe('packages that are not offered: `name`, `name@range`, `@scope/*`, `pypi:name@range`'),
  allow: z
    .array(packagePattern)
    .max(1024)
    .optional()
    .describe('packages exempt from the `minAge` in the same file; never an exception from a higher file'),
  registries: z
    .strictObject({
      npm: z.array(host).max(64).optional().describe('hosts with the npm registry API'),
      pypi: z.array(host).max(64).optional().describe('hosts with the PyPI API, or that serve its files'),
    })
    .optional()
    .describe('registry hosts besides those of the presets `npm` and `pypi`'),
});

export const uploads = z.strictObject({
  maxBytes: byteSize.optional().describe('maximum content of one request'),
  perHour: byteSize.optional().describe('maximum sent by a sandbox in one hour'),
  secrets: z
    .enum(secretModes)
    .optional()
    .describe(
      'what happens if a request contains a known secret of this host: `refuse` the request, `mask` the secret, or `off`; default `refuse`. A project file cannot weaken this',
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
    .describe('variables of env files whose values may be sent. Not in a project file'),
});
