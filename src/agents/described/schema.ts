import { z } from 'zod';

import { plainName } from '../../base/plain-name.ts';
import { providers } from '../../credentials/providers.ts';
import { readHostPattern } from '../../policy/matching/parse-host-pattern.ts';
import { registryKinds } from '../../policy/facts.ts';
import { levels } from '../../policy/policy.ts';
import { keysIn, type JsonSchema } from '../../policy/written/json-schema.ts';
import { readAllowance } from '../../policy/written/read-allowance.ts';
import type { ValuePath } from '../../policy/written/policy-layer.ts';
import { refuseValue } from '../../policy/written/written-value.ts';
import { secretIn } from '../secret-patterns.ts';
import { isPrivatePlace } from './private-places.ts';
import { outputSchema } from './output-schema.ts';
import { reservedVariable } from './reserved-variables.ts';

/** The form of a file that describes an agent. Editors and the reference page about agents show the descriptions in it. */

const noSecret = (text: string): boolean => secretIn(text) === undefined;
const secretFault = { error: 'looks like a secret; name a `credential`, and the gateway puts its value on the wire' };

const argument = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[^\0\n]*$/, 'must not hold a NUL or a line feed')
  .refine(noSecret, secretFault);
const argumentList = z.array(argument).max(64);

/** An option that is there when a caller says the value: `{value}` stands for it, so a list without it says nothing. */
const option = (what: string) =>
  argumentList
    .min(1)
    .refine((list) => list.filter((text) => text.includes('{value}')).length === 1, {
      error: 'must hold {value} once, where the value goes',
    })
    .optional()
    .describe(
      `arguments that give it ${what}; \`{value}\` stands for it. Absent: it cannot be given any, and a caller is told so`,
    );

const variables = z
  .record(
    z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'is not the name of a variable')
      .refine((name) => !reservedVariable(name), {
        error: 'is a variable that the sandbox sets itself, or that changes how programs start',
      }),
    z
      .string()
      .max(8192)
      .regex(/^[^\0]*$/, 'must not hold a NUL'),
  )
  .superRefine((given, ctx) => {
    for (const [name, value] of Object.entries(given)) {
      if (!noSecret(`${name}=${value}`)) {
        ctx.addIssue({ code: 'custom', path: [name], message: secretFault.error });
      }
    }
  });

const plainPath = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[A-Za-z0-9._@+-]+(?:\/[A-Za-z0-9._@+-]+)*$/, 'must be a plain path relative to the home')
  .refine((path) => path.split('/').every((part) => part !== '.' && part !== '..'), {
    error: 'must be a plain path relative to the home, without . and ..',
  });

const files = z
  .array(
    z.strictObject({
      path: plainPath
        .refine((path) => path.split('/')[0] !== '.casemate', { error: 'lies in a folder that the sandbox writes itself' })
        .describe('relative to the home inside'),
      content: z
        .string()
        .max(64 * 1024)
        .refine(noSecret, secretFault)
        .describe('the whole text; `{phantom}` in it stands for what the agent is to find in the place of its key'),
    }),
  )
  .max(32);

/** What differs by whether it asks before it acts. */
const mode = (when: string) =>
  z
    .strictObject({
      args: argumentList.default([]).describe('after the command, each time it starts'),
      env: variables.default({}).describe('variables of every command inside'),
      files: files.default([]).describe('files of its home'),
    })
    .optional()
    .describe(`what makes it ${when}. Absent: it has no way to do so, and a policy that wants it is refused`);

const host = z.strictObject({
  host: z
    .string()
    .transform((value, ctx) => {
      const reading = readHostPattern(value);
      return 'pattern' in reading ? value.toLowerCase() : refuseValue(ctx, value, reading.fault);
    })
    .describe('exact name, or every name below one: `api.example.com`, `*.example.com`'),
  ports: z.array(z.int().min(1).max(65_535)).min(1).max(16).default([443]).describe('TCP ports; default `[443]`'),
  allow: z
    .array(
      z.string().transform((value, ctx) => {
        const reading = readAllowance(value);
        return 'allowance' in reading ? reading.allowance : refuseValue(ctx, value, reading.fault);
      }),
    )
    .min(1)
    .max(64)
    .optional()
    .describe('functions that it needs there: methods (optional) and a path. Default: everything'),
  credential: z.boolean().default(false).describe('its credential goes there'),
  telemetry: z.boolean().default(false).describe('reached only where the policy turns telemetry on'),
});

const copy = z.strictObject({
  path: plainPath
    .refine((path) => !isPrivatePlace(path), { error: 'is a place where keys or programs of the host lie; it never comes along' })
    .describe('relative to your home, and to the home inside'),
  kind: z.enum(['file', 'folder']).describe('a folder with all below it'),
  levels: z
    .array(z.enum(levels).exclude(['maximum']))
    .min(1)
    .default(['personal'])
    .describe('at which levels it comes along; default `[personal]`. At `maximum` nothing does'),
});

/** Names that mean something else where the name of an agent stands. */
const taken = new Set<string>(['none', 'github', ...registryKinds, ...Object.keys(providers)]);

const agentName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,30}$/, 'is not a name; use lower-case letters, digits and hyphens, a letter first')
  .refine((name) => !taken.has(name), { error: 'is the name of something else here' });

const program = z.string().regex(/^(?:\/[A-Za-z0-9._@+-]+)*[A-Za-z0-9._@+-]+$/, 'is not a program of the image');

export const agentSchema = z.strictObject({
  version: z.literal(1).describe('version of the format'),
  name: agentName.describe('what a policy and the command line call it; the file has the same name'),
  title: z
    .string()
    .regex(/^[\x20-\x7e]{1,60}$/, 'must be a short text')
    .describe('its name for people'),
  image: z
    .string()
    .min(1)
    .max(4096)
    .describe('recipe of the image that has it: a name such as `base`, or a path relative to this file'),
  program: program.describe('its program: a name that is found on `PATH` inside, or an absolute path there'),
  args: argumentList.default([]).describe('arguments at a terminal'),
  prompt: argumentList
    .optional()
    .describe('arguments for one prompt, answered and ended (`casemate run --prompt`); `{prompt}` stands for it'),
  permissions: z
    .strictObject({ ask: mode('ask before it acts'), skip: mode('act without asking') })
    .describe('how it is told whether to ask; the policy says which holds'),
  task: z
    .strictObject({
      args: argumentList.describe('arguments for a task without a person; the task is handed in as `input` says'),
      input: z.enum(['stdin', 'argument']).default('stdin').describe('`argument`: `{prompt}` stands for it among `args`'),
      model: option('a model'),
      tools: option('the tools it may use, with commas between'),
      budget: option('an amount in dollars'),
      resume: option('the id of an earlier conversation'),
      servers: option('the file with servers of the Model Context Protocol'),
      output: outputSchema,
    })
    .optional()
    .describe('print mode, for `execute_in_session`. Absent: it is used at a terminal only'),
  env: variables.default({}).describe('variables of every command inside'),
  quiet: variables
    .default({})
    .describe('variables that keep it from reporting its use, set unless the policy turns telemetry on'),
  files: files.default([]).describe('files of its home'),
  copies: z.array(copy).max(32).default([]).describe('what of your own configuration comes along, as a copy'),
  credential: z
    .string()
    .regex(plainName, 'is not the name of a credential')
    .optional()
    .describe('credential that it needs, such as `anthropic`, or one that your policy or the organisation defines'),
  hosts: z.array(host).max(64).default([]).describe('hosts that it needs: the preset of its name'),
});

export type WrittenAgent = z.output<typeof agentSchema>;

let made: JsonSchema | undefined;

/** JSON Schema (2020-12) of such a file. */
export function agentJsonSchema(): JsonSchema {
  // oxlint-disable-next-line no-unsafe-type-assertion -- as for the policy: a test walks what ours makes
  made ??= z.toJSONSchema(agentSchema, { io: 'input' }) as JsonSchema;
  return made;
}

export function agentKeysAt(path: ValuePath): readonly string[] {
  return keysIn(agentJsonSchema(), path);
}
