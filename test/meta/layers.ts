/** Which folder may import which, and which of Node's modules it may hold. Nothing else in the project repeats this. */
import { importsOf, resolved, type Import } from './imports.ts';
import { withoutComments, type SourceFile } from './tree.ts';

/** A folder imports only folders before it. */
export const order = [
  'base',
  'policy',
  'system',
  'journal',
  'credentials',
  'agents',
  'gateway',
  'images',
  'engines',
  'workspace',
  'broker',
  'sandbox',
  'proof',
  'tour',
  'daemon',
  'mcp',
  'cli',
  'library',
] as const;

/**
 * The folders of a folder: each builds only on those before it. Beside them lie the words they have in common, and the
 * files that come `last`, which put the parts together. Types may come from anywhere: they say what a part is handed.
 */
const parts: Readonly<Record<string, { readonly order: readonly string[]; readonly last: readonly string[] }>> = {
  policy: { order: ['matching', 'judging', 'written', 'layers', 'proposing'], last: [] },
  credentials: { order: ['sources', 'sealed', 'aws', 'login'], last: ['bind.ts', 'sources.ts', 'live-value.ts'] },
  gateway: {
    order: ['git', 'http', 'bodies', 'secrets', 'tls', 'names', 'upstream', 'injection', 'guards', 'asks', 'exchange', 'serving'],
    last: ['connection.ts', 'create-gateway.ts', 'tunnel.ts'],
  },
  images: {
    order: ['recipes', 'tools', 'stored', 'packages', 'layers', 'checks'],
    last: [
      'build.ts',
      'build-deps.ts',
      'build-layer.ts',
      'resolve-lock.ts',
      'ensure-image.ts',
      'remove-image.ts',
      'verify-image.ts',
    ],
  },
  sandbox: {
    order: [
      'plan',
      'stored',
      'recorded',
      'requests',
      'policy-files',
      'host',
      'host-files',
      'project',
      'credentials',
      'commands',
      'life',
      'credential-calls',
      'making',
    ],
    last: ['sandboxes.ts'],
  },
};

/** Narrower than the order: who must not know of whom, and why. */
const strangers: Readonly<Record<string, { readonly folders: readonly string[]; readonly why: string }>> = {
  system: { folders: ['policy'], why: 'the hands know no rules' },
  broker: { folders: ['policy', 'credentials', 'agents'], why: 'it is told what is offered, and holds no secret' },
  engines: { folders: ['policy', 'gateway', 'credentials', 'agents'], why: 'an engine gets a finished plan' },
  gateway: { folders: ['agents'], why: 'the gateway knows rules, not programs' },
  images: { folders: ['gateway', 'credentials'], why: 'a build has no credential' },
};

const files = [
  'system',
  'journal',
  'credentials',
  'agents',
  'images',
  'engines',
  'workspace',
  'broker',
  'sandbox',
  'proof',
  'tour',
  'daemon',
  'cli',
  'library',
];
const network = ['gateway', 'engines', 'broker', 'system', 'proof', 'tour', 'daemon', 'mcp'];

/** Node's modules with power over the outside, and the only folders that may hold them. */
const powers: Readonly<Record<string, readonly string[]>> = {
  'node:child_process': ['system'],
  'node:fs': files,
  'node:fs/promises': files,
  'node:net': network,
  'node:tls': network,
  'node:http': network,
  'node:https': network,
  'node:http2': network,
  'node:dgram': network,
  'node:dns': ['gateway', 'system'],
  'node:dns/promises': ['gateway', 'system'],
  'node:worker_threads': ['system', 'journal'],
  'node:cluster': [],
  'node:vm': [],
  'node:inspector': [],
  'node:repl': [],
};

/** Of `node:net`, what only computes. */
const harmless = new Set(['isIP', 'isIPv4', 'isIPv6', 'BlockList', 'SocketAddress']);

export function layerFaults(sources: readonly SourceFile[]): readonly string[] {
  return sources.flatMap((file) => {
    const from = folderOf(file.path);
    if (!order.some((name) => name === from)) {
      return [`${file.path}: ${from} is not a folder of the table`];
    }
    return [...importsOf(file.text).flatMap((entry) => importFaults(file.path, from, entry)), ...environmentFaults(file)];
  });
}

function importFaults(path: string, from: string, { target, names, kind }: Import): readonly string[] {
  const local = resolved(path, target);
  if (local !== undefined) {
    return [...folderFaults(path, from, folderOf(local)), ...(kind === 'type' ? [] : partFaults(path, local))];
  }
  const allowed = powers[target];
  const computes = target === 'node:net' && names.length > 0 && names.every((name) => harmless.has(name));
  return allowed === undefined || kind === 'type' || computes || allowed.includes(from)
    ? []
    : [`${path}: ${from} may not hold ${target}`];
}

function folderFaults(path: string, from: string, to: string): readonly string[] {
  const rank = (name: string): number => order.findIndex((row) => row === name);
  const stranger = strangers[from];
  if (stranger?.folders.includes(to) === true) {
    return [`${path}: ${from} may not import ${to}: ${stranger.why}`];
  }
  return rank(to) > rank(from) || rank(to) < 0 ? [`${path}: ${from} may not import ${to}, which stands below it`] : [];
}

function partFaults(path: string, target: string): readonly string[] {
  const [, folder = '', from = ''] = path.split('/');
  const [, targetFolder, to = ''] = target.split('/');
  const table = parts[folder];
  if (table === undefined || targetFolder !== folder || from.endsWith('.ts') || from === to) {
    return [];
  }
  const rank = (name: string): number => table.order.indexOf(name);
  if (rank(from) < 0) {
    return [`${path}: ${folder}/${from} is not a folder of the table`];
  }
  const isBefore = to.endsWith('.ts') ? !table.last.includes(to) : rank(to) < rank(from);
  return isBefore ? [] : [`${path}: ${folder}/${from} may not build on ${folder}/${to}, which stands below it`];
}

/** The environment is read in one file and handed down, so that a test can vary it and nothing reads it in passing. */
function environmentFaults({ path, text }: SourceFile): readonly string[] {
  const reads = /\bprocess\s*(?:\.\s*env\b|\[\s*['"]env)/.test(withoutComments(text));
  return reads && path !== 'src/system/environment.ts' ? [`${path}: reads process.env; only src/system/environment.ts may`] : [];
}

function folderOf(path: string): string {
  return path.split('/')[1] ?? '';
}
