import { z } from 'zod';

import { CasemateError } from '../base/errors.ts';
import { canonicalHost } from '../base/host.ts';
import { plainName } from '../base/plain-name.ts';
import { readHostPattern } from '../policy/matching/parse-host-pattern.ts';
import type { HostPattern } from '../policy/policy.ts';
import { relayCommand, relayHost } from './mcp-relay.ts';
import { isSecretName, secretIn } from './secret-patterns.ts';

/**
 * Servers of the Model Context Protocol that an agent starts or reaches inside its sandbox, in the form that agents configure
 * them.
 */

const word = z
  .string()
  .max(8192)
  .regex(/^[^\0]*$/, 'must not hold a NUL');

const isKey = (name: string, value: string): boolean =>
  secretIn(`${name}=${value}`) !== undefined || (isSecretName(name) && value !== '');

const keyHint =
  'looks like a key, and no key goes into a sandbox: name a credential of the policy, as { "credential": NAME }, and the gateway puts it on the wire';

const hostText = z
  .string()
  .max(300)
  .superRefine((text, ctx) => {
    const reading = readHostPattern(text);
    if ('fault' in reading) {
      ctx.addIssue({ code: 'custom', message: reading.fault });
    }
  });

/** Hosts that the server may reach of those that the policy allows; `true` and an empty list: none; `false`: as if it were absent. */
const isolation = z.union([z.boolean(), z.array(hostText).max(64)], { error: 'is neither true nor a list of hosts' }).optional();

/** In the place of a key: the stand-in of this credential of the policy, which the gateway puts right at the hosts it is for. */
const standIn = z.strictObject({
  credential: z.string().regex(plainName, 'is not the name of a credential'),
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

const remote = z.strictObject({
  type: z.enum(['http', 'sse']),
  url: z.url({ protocol: /^https?$/ }).refine((url) => secretIn(url) === undefined, keyHint),
  headers: z.record(z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'is not the name of a header'), standIn).optional(),
  network_isolation: isolation,
});

const reached = remote.refine(
  ({ url, network_isolation: hosts }) => !Array.isArray(hosts) || hosts.every((host) => canonicalHost(host) === hostOf(url)),
  {
    path: ['network_isolation'],
    error: 'of a server that is reached can only be the host of its URL: where it goes from there is not seen here',
  },
);

interface Preset {
  readonly command: string;
  readonly args: readonly string[];
  /** recipe of an image that has it: it always runs in a sandbox of its own; absent: in the session's */
  readonly image?: string;
}

/** Servers by a short name, each of one exact version. Context7 is fetched where the policy lets the sandbox; Serena is in its image. */
const presets = new Map<string, Preset>([
  ['context7', { command: 'npx', args: ['-y', '@upstash/context7-mcp@4.1.1'] }],
  [
    'serena',
    {
      command: 'serena',
      args: ['start-mcp-server', '--context', 'claude-code', '--project', '/workspace', '--log-level', 'WARNING', ...noWindows()],
      image: 'serena',
    },
  ],
]);

/** It would open a port and a browser otherwise. */
function noWindows(): readonly string[] {
  return ['--enable-web-dashboard', '--open-web-dashboard', '--enable-gui-log-window'].flatMap((option) => [option, 'false']);
}

const preset = z.strictObject({
  preset: z.string().refine((name) => presets.has(name), { error: () => `is not a preset: ${[...presets.keys()].join(', ')}` }),
  network_isolation: isolation,
});

const known = preset.refine(
  ({ preset: name, network_isolation: hosts }) => hosts !== false || presets.get(name)?.image === undefined,
  {
    path: ['network_isolation'],
    error: 'cannot be false: this server has an image of its own, and runs in a sandbox of its own',
  },
);

export const mcpServers = z.record(
  z.string().regex(/^[A-Za-z0-9][\w-]{0,63}$/, 'is not the name of a server'),
  z.union([started, reached, known], { error: 'is neither { command, args, env } nor { type, url, headers } nor { preset }' }),
);

export type McpServers = z.output<typeof mcpServers>;

/** Where it lies in the home of a sandbox; nothing writes it after the first start. */
export const mcpFile = '.casemate/mcp.json';

type Server = (z.output<typeof started> & Pick<Preset, 'image'>) | z.output<typeof reached>;
type StandIn = z.output<typeof standIn>;

/** Presets in full. */
function whole(servers: McpServers): readonly (readonly [string, Server])[] {
  return Object.entries(servers).flatMap(([name, server]): readonly (readonly [string, Server])[] => {
    if (!('preset' in server)) {
      return [[name, server]];
    }
    const full = presets.get(server.preset);
    if (full === undefined) {
      return [];
    }
    const { command, args, image } = full;
    // What is in an image of its own is in no other sandbox.
    const hosts = server.network_isolation ?? (image === undefined ? undefined : true);
    return [[name, { command, args: [...args], ...(image === undefined ? {} : { image }), network_isolation: hosts }]];
  });
}

/** A server that runs in a sandbox of its own. */
export interface IsolatedServer {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | StandIn>>;
  /** of those that the policy allows */
  readonly hosts: readonly HostPattern[];
  /** recipe of an image of its own; absent: the session's */
  readonly image?: string | undefined;
}

/** Those that are started inside and have a list of hosts, in the order of their names. */
export function isolatedServers(servers: McpServers): readonly IsolatedServer[] {
  return whole(servers)
    .flatMap(([name, server]): readonly IsolatedServer[] => {
      const hosts = hostsOf(server);
      return 'url' in server || hosts === undefined
        ? []
        : [{ name, command: [server.command, ...(server.args ?? [])], env: server.env ?? {}, hosts, image: server.image }];
    })
    .toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

/** Hosts of servers that are reached, and whose list says that they are to be reached there. */
export function isolatedHosts(
  servers: McpServers,
): readonly { readonly name: string; readonly host: string; readonly port: number }[] {
  return whole(servers).flatMap(([name, server]) => {
    if (!('url' in server) || hostsOf(server) === undefined) {
      return [];
    }
    const { port, protocol } = new URL(server.url);
    return [{ name, host: hostOf(server.url) ?? '', port: port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port) }];
  });
}

/** Names of servers that are said to need no network of their own, in so many words. */
export function openServers(servers: McpServers): readonly string[] {
  return whole(servers).flatMap(([name, server]) => (server.network_isolation === false ? [name] : []));
}

function hostsOf({ network_isolation: written }: Server): readonly HostPattern[] | undefined {
  const hosts = written === true ? [] : written;
  return Array.isArray(hosts)
    ? hosts.flatMap((text) => {
        const reading = readHostPattern(text);
        return 'pattern' in reading ? [reading.pattern] : [];
      })
    : undefined;
}

function hostOf(url: string): string | undefined {
  return canonicalHost(new URL(url).hostname);
}

/** Names of the credentials whose stand-ins these servers are given. */
export function credentialsOf(servers: McpServers): readonly string[] {
  const given = whole(servers).flatMap(([, server]) =>
    Object.values('url' in server ? (server.headers ?? {}) : (server.env ?? {})),
  );
  return [...new Set(given.flatMap((value) => (typeof value === 'string' ? [] : [value.credential])))];
}

type Phantoms = (credential: string) => string | undefined;

/** Throws where a credential has no stand-in: a plan names none that it does not bind. */
export function filledIn(
  values: Readonly<Record<string, string | StandIn>>,
  phantomOf: Phantoms,
): Readonly<Record<string, string>> {
  const shown = ({ credential, prefix = '' }: StandIn): string => {
    const phantom = phantomOf(credential);
    if (phantom === undefined) {
      throw new CasemateError('CREDENTIAL_UNAVAILABLE', `there is no credential "${credential}" here for a server of mcpConfig`);
    }
    return `${prefix}${phantom}`;
  };
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, typeof value === 'string' ? value : shown(value)]),
  );
}

/** What an agent starts or reaches: of a server in a sandbox of its own the way there. */
export type AgentServer =
  | { readonly command: string; readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> }
  | { readonly type: 'http' | 'sse'; readonly url: string; readonly headers: Readonly<Record<string, string>> };

export function agentServers(servers: McpServers, phantomOf: Phantoms): Readonly<Record<string, AgentServer>> {
  const isolated = isolatedServers(servers).map(({ name }) => name);
  return Object.fromEntries(
    whole(servers).map(([name, server]): readonly [string, AgentServer] => {
      const at = isolated.indexOf(name);
      if ('url' in server) {
        const { type, url, headers = {} } = server;
        return [name, { type, url, headers: filledIn(headers, phantomOf) }];
      }
      const { command, args = [], env = {} } = server;
      return [name, at < 0 ? { command, args, env: filledIn(env, phantomOf) } : { ...relayCommand(relayHost(at)), env: {} }];
    }),
  );
}

export function mcpFileText(servers: McpServers, phantomOf: Phantoms): string {
  return `${JSON.stringify({ mcpServers: agentServers(servers, phantomOf) }, undefined, 2)}\n`;
}
