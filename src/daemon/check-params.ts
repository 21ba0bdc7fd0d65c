import { z } from 'zod';

import { mcpServers } from '../agents/mcp-servers.ts';
import { CasemateError } from '../base/errors.ts';
import { plainName } from '../base/plain-name.ts';
import { visible } from '../base/text.ts';
import { learnModes } from '../policy/proposing/learning.ts';
import { layoutFolders } from '../policy/policy.ts';
import { guaranteeIds } from '../proof/guarantees.ts';
import { callerRoles } from '../sandbox/stored/caller-tokens.ts';
import { greatestWaitMs } from '../sandbox/host/room.ts';
import { snapshotIdPattern } from '../sandbox/host-files/snapshots.ts';
import type { Calls, FromClient, Method } from './protocol.ts';

/** Checks what arrives on the control socket against the form of its call before anything acts on it. */

const shortText = z.string().max(64 * 1024);
const identity = z.strictObject({
  pid: z.int().positive(),
  startTicks: z.string().regex(/^\d{1,20}$/),
  boot: z
    .string()
    .regex(/^[0-9a-f-]{36}$/)
    .optional(),
});
// No argument and no variable can hold a NUL (execve(2)).
const word = z.string().regex(/^[^\0]*$/, 'must not hold a NUL');
const words = z.array(word).min(1).max(100_000);
const nothing = z.strictObject({});
const named = z.strictObject({ name: shortText });
/** Becomes a variable inside. */
const modelName = z.string().regex(/^[\w.:/@-]{1,200}$/, 'is not the name of a model');
const make = {
  cwd: shortText.startsWith('/'),
  policyFile: shortText.optional(),
  userPolicyFolder: shortText.optional(),
  engine: shortText.optional(),
  runtime: shortText.optional(),
  agent: shortText.optional(),
  image: shortText.optional(),
  workspace: shortText.optional(),
  readonly: z.boolean().optional(),
  skipPermissions: z.boolean().optional(),
  waive: z.array(shortText).max(100).optional(),
  trust: z.boolean().optional(),
  timeoutMs: z.number().positive().optional(),
  learn: z.strictObject({ mode: z.enum(learnModes), known: z.enum(['as-learned', 'as-allowed']) }).optional(),
};
const queueMs = z.number().nonnegative().max(greatestWaitMs).optional();
const rest = {
  narrowing: z
    .strictObject({
      memoryBytes: z.int().positive().optional(),
      cpus: z.number().positive().optional(),
      pids: z.int().positive().optional(),
      timeMs: z.number().positive().optional(),
      idleMs: z.number().positive().optional(),
      readonly: z.literal(true).optional(),
      layout: z.array(z.enum(layoutFolders)).max(layoutFolders.length).optional(),
    })
    .optional(),
  provider: z.enum(['key', 'bedrock']).optional(),
  region: z
    .string()
    .regex(/^[a-z]{2}(?:-[a-z]+)+-\d{1,2}$/, 'is not the name of a region')
    .optional(),
  models: z.strictObject({ main: modelName.optional(), small: modelName.optional() }).optional(),
  mcpServers: mcpServers.optional(),
  given: z.array(shortText).max(8).optional(),
};
const loopbackUri = z.string().regex(/^http:\/\/localhost:\d{1,5}\/[a-z/]{0,64}$/, 'is not a loopback address');
const execution = shortText.regex(/^ex-[0-9a-f]{16}$/);

const request = shortText.regex(/^ask-[a-z0-9]{12}$/, 'is not the id of a request');

const snapshot = shortText.regex(snapshotIdPattern, 'is not the id of a snapshot');

const absolute = shortText.startsWith('/');
const credentialName = shortText.regex(
  plainName,
  'is not the name of a credential: lower-case letters, digits and hyphens, a letter first',
);

const callerName = z
  .string()
  .regex(plainName, 'is not the name of a caller: lower-case letters, digits and hyphens, a letter first');

const tokenHash = z.string().regex(/^[0-9a-f]{64}$/);

const characters = z.int().min(1).max(65_535);
const terminalSize = z.strictObject({ rows: characters, columns: characters });

const verdict = z.enum(['held', 'broken', 'not-applicable', 'inconclusive']);
const proofOutcome = z.strictObject({
  profile: z.enum(['quick', 'full']),
  // every probe and every guarantee may be named
  only: z.array(shortText).max(1000).optional(),
  verdicts: z.partialRecord(z.enum(guaranteeIds), verdict),
  probes: z.int().nonnegative(),
  observations: z.int().nonnegative(),
  findings: z.string().regex(/^[0-9a-f]{64}$/),
});

const forms: { readonly [M in Method]: z.ZodType<Calls[M]['params']> } = {
  plan: z.strictObject({ ...make, ...rest }),
  create: z.strictObject({
    ...make,
    ...rest,
    queueMs,
    name: shortText.optional(),
    keys: z.record(z.string(), z.string().max(70_000)).optional(),
  }),
  start: z.strictObject({ name: shortText, queueMs }),
  stop: named,
  restart: named,
  'destroy-list': named,
  destroy: named,
  run: z.strictObject({
    ...make,
    name: shortText.optional(),
    command: words.optional(),
    prompt: word.optional(),
    queueMs,
    keep: z.boolean(),
    tty: z.boolean(),
    terminalSize: terminalSize.optional(),
    client: identity.optional(),
    term: shortText.optional(),
  }),
  exec: z.strictObject({
    name: shortText,
    command: words,
    cwd: shortText.optional(),
    env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), word),
    tty: z.boolean(),
    terminalSize: terminalSize.optional(),
    timeoutMs: z.number().positive().optional(),
    client: identity.optional(),
  }),
  resume: z.strictObject({ executionId: execution }),
  close: z.strictObject({ executionId: execution, exitCode: z.int().min(0).max(255) }),
  ls: nothing,
  inspect: named,
  processes: named,
  stats: named,
  'trust-list': z.strictObject(make),
  trust: z.strictObject({ ...make, hash: shortText }),
  requests: nothing,
  'requests-follow': nothing,
  'request-approve': z.strictObject({
    id: request,
    scope: z.enum(['once', 'sandbox', 'policy']),
    functions: z.union([z.literal('all'), z.array(shortText).min(1).max(64)]).optional(),
    file: shortText.startsWith('/').optional(),
  }),
  'request-deny': z.strictObject({ id: request, scope: z.enum(['while', 'sandbox']) }),
  'credential-list': z.strictObject({ cwd: absolute }),
  'credential-set': z.strictObject({
    name: credentialName,
    value: z.string().max(70_000),
    provider: shortText.optional(),
    hosts: z.array(shortText).max(64).optional(),
  }),
  'credential-reread': z.strictObject({ name: credentialName, cwd: absolute }),
  'credential-revoke': z.strictObject({ name: credentialName, cwd: absolute, sandbox: shortText.optional() }),
  'credential-restore': z.strictObject({ name: credentialName, cwd: absolute, sandbox: shortText.optional() }),
  'credential-remove-list': z.strictObject({ name: credentialName }),
  'credential-remove': z.strictObject({ name: credentialName }),
  'credential-test': z.strictObject({
    name: credentialName,
    cwd: absolute,
    path: shortText.optional(),
    host: shortText.optional(),
  }),
  'session-requests': named,
  'session-plead': z.strictObject({ name: shortText, id: request, reason: z.string().min(1).max(1000) }),
  'session-alarm': z.strictObject({ name: shortText, path: z.string().min(1).max(8192) }),
  'session-explain': z.strictObject({
    name: shortText,
    host: z.string().max(253),
    port: z.int().min(1).max(65_535),
    request: z.strictObject({ method: z.string().regex(/^[A-Z]{1,32}$/), path: z.string().startsWith('/').max(8192) }).optional(),
  }),
  'snapshot-take': z.strictObject({ name: shortText, label: z.string().max(200).optional() }),
  'snapshot-list': named,
  'snapshot-restore': z.strictObject({ name: shortText, snapshot }),
  'snapshot-remove': z.strictObject({ name: shortText, snapshot }),
  'login-list': nothing,
  'prove-seal': z.strictObject({ name: shortText.optional(), request: z.strictObject(make).optional(), outcome: proofOutcome }),
  'login-begin': z.strictObject({ agent: shortText, server: shortText.optional(), redirectUri: loopbackUri.optional() }),
  'login-finish': z.strictObject({ id: z.uuid(), code: shortText }),
  'login-import': z.strictObject({ agent: shortText, text: z.string().max(256 * 1024), server: shortText.optional() }),
  'login-remove': z.strictObject({ agent: shortText }),
  'caller-add': z.strictObject({
    name: callerName,
    role: z.enum(callerRoles),
    roots: z.array(absolute).min(1).max(64),
    policy: absolute.optional(),
    lifeMs: z.number().positive().optional(),
  }),
  'caller-list': nothing,
  'caller-revoke': named,
  'caller-find': z.union([z.strictObject({ token: z.string().max(256) }), z.strictObject({ hash: tokenHash })]),
  'reap-list': nothing,
  reap: z.strictObject({ ids: z.array(shortText).max(10_000) }),
  status: nothing,
  shutdown: z.strictObject({ force: z.boolean() }),
};

/** Throws `USAGE` that names the call and the field. */
export function checkParams(method: string, params: unknown): { readonly method: Method; readonly params: unknown } {
  if (!isMethod(method)) {
    throw new CasemateError('USAGE', `the daemon has no call "${visible(method.slice(0, 100))}"`);
  }
  const checked = forms[method].safeParse(params);
  if (!checked.success) {
    const [issue] = checked.error.issues;
    const where = ['params', ...(issue?.path.map(String) ?? [])].join('.');
    throw new CasemateError(
      'USAGE',
      `the call "${method}" is not well formed: ${visible(where)}: ${visible(issue?.message ?? '')}`,
    );
  }
  return { method, params: checked.data };
}

function isMethod(text: string): text is Method {
  return Object.hasOwn(forms, text);
}

const callerClaim = z.strictObject({
  name: callerName,
  roots: z.array(absolute).min(1).max(64),
  role: z.enum(callerRoles).optional(),
  policy: absolute.optional(),
  token: tokenHash.optional(),
});

const message: z.ZodType<FromClient> = z.union([
  z.object({ type: z.literal('call'), id: z.int().nonnegative(), method: z.string(), params: z.unknown() }),
  z.object({ type: z.literal('caller'), caller: callerClaim }),
  z.object({ type: z.literal('answer'), id: z.int().nonnegative(), value: z.unknown() }),
]);

/** A line of a caller; `undefined` where it is none. */
export function readMessage(raw: unknown): FromClient | undefined {
  return message.safeParse(raw).data;
}
