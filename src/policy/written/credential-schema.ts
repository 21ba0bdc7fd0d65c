import { z } from 'zod';

import { plainName } from '../../base/plain-name.ts';
import { readHostPattern } from '../matching/parse-host-pattern.ts';
import { policyProviders } from '../providers.ts';
import { credentialSource } from './source-schema.ts';

/** The form of one entry under `credentials`: what it is, where its value is kept, and where on the wire the value goes. */

export const credentialName = z
  .string()
  .regex(plainName, 'is not a name; use lower-case letters, digits and hyphens, a letter first');

export const hostPattern = z.string().transform((value, ctx) => {
  const reading = readHostPattern(value);
  if ('pattern' in reading) {
    return reading.pattern;
  }
  ctx.addIssue({ code: 'custom', message: reading.fault, input: value });
  return z.NEVER;
});

/** Variables that change how programs inside start: never a place for a phantom. */
const reservedVariable = /^(?:PATH|HOME|SHELL|USER|LOGNAME|IFS|ENV|BASH_ENV|LD_.*|NODE_.*|PYTHON.*|GIT_.*|SSL_.*)$/;

/** Header fields that frame or route a message (RFC 9110 section 7.6, RFC 9112 section 6): never a place for a credential. */
const reservedHeader =
  /^(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|expect|proxy-.*|keep-alive|cookie2?|:.*)$/i;

const header = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'is not the name of a header')
    .refine((value) => !reservedHeader.test(value), {
      error: 'is a header that frames or routes messages; a credential cannot be there',
    })
    .describe('name of the header'),
  format: z
    .string()
    .regex(/^[\x20-\x7e]{1,256}$/, 'may hold printable ASCII characters only')
    .refine((value) => value.split('{}').length === 2, { error: 'must hold {} once, where the value goes' })
    .default('{}')
    .describe('value of the header; `{}` stands for the credential'),
});

const basic = z.strictObject({
  user: z
    .string()
    .regex(/^[\x20-\x39\x3b-\x7e]{0,128}$/, 'may hold printable ASCII characters without a colon only')
    .describe('the user; the credential is the password'),
});

const wireName = (what: string) => z.string().regex(/^[A-Za-z_$][A-Za-z0-9_$.:-]{0,127}$/, `is not the name of a ${what}`);

const query = z.strictObject({ parameter: wireName('parameter').describe('name of the parameter') });
const body = z.strictObject({ field: wireName('field').describe('name of the member or the field') });

const variable = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'is not the name of a variable')
  .refine((value) => !reservedVariable.test(value), {
    error: 'is a variable that changes how programs start; choose another',
  });

/** The providers that stand for no service but for a place, with the key that says where exactly. */
const generic = { header: 'header', bearer: undefined, basic: 'basic', query: 'query', body: 'body' } as const;
const genericNames = ['header', 'bearer', 'basic', 'query', 'body'] as const;
const placeKeys = ['header', 'basic', 'query', 'body'] as const;

const missing: Readonly<Record<(typeof placeKeys)[number], string>> = {
  header: 'needs "header": the name of the header that carries it',
  basic: 'needs "basic": the user whose password it is',
  query: 'needs "query": the parameter that carries it',
  body: 'needs "body": the field of the content that carries it',
};

export const credential = z
  .strictObject({
    provider: z
      .enum([...Object.keys(policyProviders), ...genericNames])
      .describe(
        'how the credential goes on the wire: as a known service expects it, or in a `header`, as a `bearer` token, as the password of `basic`, in the `query` or in the `body`',
      ),
    source: credentialSource.describe('where the real value is on the host; exactly one of the keys below'),
    header: header.optional().describe('only for the provider `header`: the header that carries it'),
    basic: basic.optional().describe('only for the provider `basic`: the user that goes with it'),
    query: query.optional().describe('only for the provider `query`: the parameter that carries it'),
    body: body
      .optional()
      .describe('only for the provider `body`: the member of a JSON object, or the field of a form, that carries it'),
    variable: variable
      .optional()
      .describe(
        'only for the generic providers (`header`, `bearer`, `basic`, `query`, `body`): variable of the sandbox that holds the phantom',
      ),
    hosts: z.array(hostPattern).min(1).max(64).optional().describe('the only hosts that rules may bind this credential to'),
  })
  .superRefine((value, ctx) => {
    const { provider } = value;
    const wanted = isGeneric(provider) ? generic[provider] : undefined;
    if (wanted !== undefined && value[wanted] === undefined) {
      ctx.addIssue({ code: 'custom', message: missing[wanted], path: [], input: value });
    }
    for (const key of placeKeys) {
      if (key !== wanted && value[key] !== undefined) {
        ctx.addIssue({
          code: 'custom',
          message: `belongs to the provider ${key}; ${provider} has its own`,
          path: [key],
          input: value,
        });
      }
    }
    if (value.variable !== undefined && !isGeneric(provider)) {
      ctx.addIssue({
        code: 'custom',
        message: `belongs to the providers ${genericNames.join(', ')}; ${provider} has its own`,
        path: ['variable'],
        input: value,
      });
    }
  });

function isGeneric(provider: string): provider is (typeof genericNames)[number] {
  return genericNames.some((one) => one === provider);
}
