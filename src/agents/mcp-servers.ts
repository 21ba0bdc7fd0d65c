import { z } from 'zod';

import { CasemateError } from '../base/errors.ts';
import { isSecretName, secretIn } from './secret-patterns.ts';

/** Servers of the Model Context Protocol that an agent starts or reaches inside its sandbox, as agents write them down. */

const word = z
  .string()
  .max(8192)
  .regex(/^[^\0]*$/, 'must not hold a NUL');

const isKey = (name: string, value: string): boolean =>
  secretIn(`${name}=${value}`) !== undefined || (isSecretName(name) && value !== '');

const keyHint =
  'looks like a key, and no key goes into a sandbox: name a credential of the policy, as { "credential": NAME }, and the gateway puts it on the wire';

/** Never taken and not held: what one server does cannot be told from what another does in the same sandbox. */
const isolation = z
  .unknown()
  .optional()
  .refine(
    (value) => value === undefined,
    'cannot be held for one server: all in a sandbox share its rules. Make a session for that server alone, or leave it out',
  );

/** In the place of a key: the stand-in of this credential of the policy, which the gateway puts right at the hosts it is for. */
const standIn = z.strictObject({
  credential: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'is not the name of a credential'),
  /** before it, e.g. `Bearer ` */
  prefix: z
    .string()
    .regex(/^[A-Za-z][A-Za-z-]{0,30} $/, 'is not a word and a space')
    .optional(),
});

const variables = z
  .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'is not the name of a variable'), z.union([word, standIn]))
  .superRefine((given, ctx) => {
    for (const [name, value] of Object.entries(given)) {
      if (typeof value === 'string' && isKey(name, value)) {
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
  network_isolation: isolation,
});

const reached = z.strictObject({
  type: z.enum(['http', 'sse']),
  url: z.url({ protocol: /^https?$/ }).refine((url) => secretIn(url) === undefined, keyHint),
  headers: z.record(z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'is not the name of a header'), standIn).optional(),
  network_isolation: isolation,
});

/** Servers by a short name, each of one exact version. They answer where the policy lets the sandbox fetch them. */
const presets = new Map<string, z.output<typeof started>>([
  ['context7', { command: 'npx', args: ['-y', '@upstash/context7-mcp@4.1.1'] }],
]);

const preset = z.strictObject({
  preset: z.string().refine((name) => presets.has(name), {
    error: ({ input }) =>
      input === 'serena'
        ? 'serena is no preset here: it needs uv, which no image of ours has'
        : `is not a preset: ${[...presets.keys()].join(', ')}`,
  }),
});

export const mcpServers = z.record(
  z.string().regex(/^[A-Za-z0-9][\w-]{0,63}$/, 'is not the name of a server'),
  z.union([started, reached, preset], { error: 'is neither { command, args, env } nor { type, url, headers } nor { preset }' }),
);

export type McpServers = z.output<typeof mcpServers>;

/** Where it lies in the home of a sandbox; nothing writes it after the first start. */
export const mcpFile = '.casemate/mcp.json';

type Server = z.output<typeof started> | z.output<typeof reached>;

/** Presets in full. */
function whole(servers: McpServers): readonly (readonly [string, Server])[] {
  return Object.entries(servers).flatMap(([name, server]) => {
    const full = 'preset' in server ? presets.get(server.preset) : server;
    return full === undefined ? [] : [[name, full] as const];
  });
}

/** Names of the credentials whose stand-ins these servers are given. */
export function credentialsOf(servers: McpServers): readonly string[] {
  const given = whole(servers).flatMap(([, server]) =>
    Object.values('url' in server ? (server.headers ?? {}) : (server.env ?? {})),
  );
  return [...new Set(given.flatMap((value) => (typeof value === 'string' ? [] : [value.credential])))];
}

/** Throws where a credential has no stand-in: a plan names none that it does not bind. */
export function mcpFileText(servers: McpServers, phantomOf: (credential: string) => string | undefined): string {
  const filled = (values: Readonly<Record<string, string | z.output<typeof standIn>>> = {}): Record<string, string> =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, typeof value === 'string' ? value : shown(value)]));
  const shown = ({ credential, prefix = '' }: z.output<typeof standIn>): string => {
    const phantom = phantomOf(credential);
    if (phantom === undefined) {
      throw new CasemateError('CREDENTIAL_UNAVAILABLE', `there is no credential "${credential}" here for a server of mcpConfig`);
    }
    return `${prefix}${phantom}`;
  };
  const all = whole(servers).map(([name, server]) => [
    name,
    'url' in server ? { ...server, headers: filled(server.headers) } : { ...server, env: filled(server.env) },
  ]);
  return `${JSON.stringify({ mcpServers: Object.fromEntries(all) }, undefined, 2)}\n`;
}
