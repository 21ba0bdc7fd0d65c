import { z } from 'zod';

import { isSecretName, secretIn } from './secret-patterns.ts';

/** Servers of the Model Context Protocol that an agent starts or reaches inside its sandbox, as agents write them down. */

const word = z
  .string()
  .max(8192)
  .regex(/^[^\0]*$/, 'must not hold a NUL');

const isKey = (name: string, value: string): boolean =>
  secretIn(`${name}=${value}`) !== undefined || (isSecretName(name) && value !== '');

const keyHint =
  'looks like a key, and no key goes into a sandbox: let the gateway put it on the wire (a credential of the policy)';

const variables = z
  .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'is not the name of a variable'), word)
  .superRefine((given, ctx) => {
    for (const [name, value] of Object.entries(given)) {
      if (isKey(name, value)) {
        ctx.addIssue({ code: 'custom', path: [name], message: keyHint });
      }
    }
  });

const started = z.strictObject({
  type: z.literal('stdio').optional(),
  command: word.min(1),
  args: z
    .array(word)
    .max(256)
    .refine((args) => args.every((arg) => secretIn(arg) === undefined), keyHint)
    .optional(),
  env: variables.optional(),
});

const reached = z.strictObject({
  type: z.enum(['http', 'sse']),
  url: z.url({ protocol: /^https?$/ }).refine((url) => secretIn(url) === undefined, keyHint),
});

export const mcpServers = z.record(
  z.string().regex(/^[A-Za-z0-9][\w-]{0,63}$/, 'is not the name of a server'),
  z.union([started, reached], { error: 'is neither { command, args, env } nor { type, url }' }),
);

export type McpServers = z.output<typeof mcpServers>;

/** Where it lies in the home of a sandbox; nothing writes it after the first start. */
export const mcpFile = '.casemate/mcp.json';

export function mcpFileText(servers: McpServers): string {
  return `${JSON.stringify({ mcpServers: servers }, undefined, 2)}\n`;
}
