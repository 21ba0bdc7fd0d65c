import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError, isCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { agentUser, type Recipe, type VerifyRow } from '../image.ts';
import type { ImageTools } from '../tools/image-tools.ts';
import { canonicalManifest, differingPaths, manifestDigest, readManifest, type ManifestEntry } from '../tools/manifest.ts';
import { runConfined, type RunInside } from '../tools/run-confined.ts';
import { secretFileNames, secretPatterns } from './secret-patterns.ts';

/**
 * Checks a root file system against what every image promises. Each promise is a row; nothing is taken from the build's record.
 */

export interface VerifyOptions {
  readonly tools: ImageTools;
  readonly checks: Recipe['checks'];
  /** `undefined`: the image is just being made */
  readonly expected?: { readonly digest: string; readonly manifest: string } | undefined;
  readonly runInside?: RunInside | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Verification {
  readonly rows: readonly VerifyRow[];
  /** canonical list of all files, as read now */
  readonly manifest: string;
  readonly bytes: number;
}

export async function verifyRootfs(rootfs: string, options: VerifyOptions): Promise<Verification> {
  const entries = await readManifest(rootfs, options.tools);
  const manifest = canonicalManifest(entries);
  const rows = [
    ...(options.expected === undefined ? [] : [digestRow(manifest, options.expected)]),
    ...(await userRows(rootfs, entries, options.tools)),
    privilegeRow(entries),
    await capabilityRow(rootfs, options.tools),
    deviceRow(entries),
    writableRow(entries),
    mountRow(entries),
    await secretRow(rootfs, entries, options.tools),
    ...(await checkRows(rootfs, options)),
  ];
  return { rows, manifest, bytes: entries.reduce((sum, entry) => sum + entry.size, 0) };
}

export function failedRows(rows: readonly VerifyRow[]): readonly VerifyRow[] {
  return rows.filter(({ verdict }) => verdict === 'fail');
}

function row(check: string, faults: readonly string[], fine: string): VerifyRow {
  const shown = faults.slice(0, 5).map(visible).join(', ');
  const more = faults.length > 5 ? ` and ${faults.length - 5} more` : '';
  return faults.length === 0 ? { check, verdict: 'pass', detail: fine } : { check, verdict: 'fail', detail: `${shown}${more}` };
}

function shownPath({ path }: ManifestEntry): string {
  return `/${Buffer.from(path, 'latin1').toString('utf8')}`;
}

function digestRow(manifest: string, expected: { digest: string; manifest: string }): VerifyRow {
  if (manifestDigest(manifest) === expected.digest) {
    return { check: 'digest', verdict: 'pass', detail: expected.digest };
  }
  const paths = differingPaths(expected.manifest, manifest, 6);
  return row('digest', paths.length === 0 ? ['the list of files differs'] : paths.map((path) => `${path} differs`), '');
}

async function userRows(rootfs: string, entries: readonly ManifestEntry[], tools: ImageTools): Promise<readonly VerifyRow[]> {
  const read = async (path: string): Promise<string> =>
    (await tools.run('cat', ['--', join(rootfs, path)], { anyExit: true })).stdout.toString('utf8');
  const { name, uid, gid, home, shell } = agentUser;
  const accounts = (await read('etc/passwd'))
    .split('\n')
    .map((line) => line.split(':'))
    .filter((parts) => parts.length > 1);
  const agents = accounts.filter((parts) => parts[0] === name || parts[2] === String(uid));
  const expected = [name, 'x', String(uid), String(gid)].join(':');
  const [agent] = agents;
  const right = agents.length === 1 && agent?.slice(0, 4).join(':') === expected && agent[5] === home && agent[6] === shell;
  const roots = accounts.filter((parts) => parts[2] === '0' && parts[0] !== 'root').map((parts) => `${parts[0] ?? ''} has uid 0`);
  const open = (await read('etc/shadow'))
    .split('\n')
    .filter((line) => /^[^:]+:[^*!:]?[^*!]*:/.test(line) && !/^[^:]+:[*!]/.test(line));
  const sudo = entries.filter(({ path }) => /^(?:usr\/)?s?bin\/(?:sudo|doas|pkexec)$/.test(path)).map(shownPath);
  return [
    row(
      'user',
      right ? roots : [`/etc/passwd does not have ${name} with uid ${uid} as the only one`, ...roots],
      `${name}, uid ${uid}`,
    ),
    row(
      'passwords',
      open.map((line) => `${line.split(':')[0] ?? ''} can log in`),
      'no account has one',
    ),
    row('no sudo', sudo, 'none of sudo, doas, pkexec'),
  ];
}

function privilegeRow(entries: readonly ManifestEntry[]): VerifyRow {
  const faults = entries.filter(({ mode, type }) => type !== 'l' && (Number.parseInt(mode, 8) & 0o6000) !== 0);
  return row('set-id files', faults.map(shownPath), 'no setuid or setgid bit');
}

async function capabilityRow(rootfs: string, tools: ImageTools): Promise<VerifyRow> {
  const check = 'file capabilities';
  try {
    const found = await tools.run('getcap', ['-r', rootfs], { anyExit: true });
    const complaint = found.stderr.toString('utf8');
    if (/failed to execute getcap/.test(complaint)) {
      return { check, verdict: 'skipped', detail: 'needs getcap (libcap2-bin); mounts are nosuid, which voids them' };
    }
    const lines = found.stdout
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '');
    return row(
      check,
      lines.map((line) => line.slice(rootfs.length)),
      'none',
    );
  } catch (error) {
    throw new CasemateError('IMAGE_CORRUPT', 'the image cannot be searched for file capabilities', { cause: error });
  }
}

function deviceRow(entries: readonly ManifestEntry[]): VerifyRow {
  return row(
    'device files',
    entries.filter(({ type }) => !['f', 'd', 'l'].includes(type)).map(shownPath),
    'only files, folders and links',
  );
}

function writableRow(entries: readonly ManifestEntry[]): VerifyRow {
  const faults = entries.filter(({ type, mode }) => {
    const bits = Number.parseInt(mode, 8);
    return type !== 'l' && (bits & 0o002) !== 0 && !(type === 'd' && (bits & 0o1000) !== 0);
  });
  return row('world-writable', faults.map(shownPath), 'only sticky folders');
}

/** Places the engine mounts on; it cannot make them in a read-only root. */
const mountPoints: Readonly<Record<string, 'd' | 'f'>> = {
  workspace: 'd',
  'home/agent': 'd',
  proc: 'd',
  sys: 'd',
  dev: 'd',
  tmp: 'd',
  run: 'd',
  'var/tmp': 'd',
  'etc/resolv.conf': 'f',
  'etc/hosts': 'f',
  'etc/hostname': 'f',
  'etc/ssl/certs/ca-certificates.crt': 'f',
};

function mountRow(entries: readonly ManifestEntry[]): VerifyRow {
  const types = new Map(entries.map(({ path, type }) => [path, type]));
  const faults = Object.entries(mountPoints).filter(([path, type]) => types.get(path) !== type);
  return row(
    'mount points',
    faults.map(([path, type]) => `/${path} is not a ${type === 'd' ? 'folder' : 'file'}`),
    'all there',
  );
}

async function secretRow(rootfs: string, entries: readonly ManifestEntry[], tools: ImageTools): Promise<VerifyRow> {
  const named = entries
    .filter(({ path, type, size }) => type === 'f' && size > 0 && secretFileNames.test(path))
    .map((entry) => `${shownPath(entry)} (by name)`);
  const expressions = secretPatterns.flatMap(({ expression }) => ['-e', expression]);
  // Exit 1 is "nothing found"; binary files are left out, they are hashed inputs of the lock.
  const found = await tools.run('grep', ['-rIlZE', '--devices=skip', ...expressions, '--', rootfs], {
    anyExit: true,
    env: { LC_ALL: 'C' },
  });
  if (found.exitCode > 1) {
    throw new CasemateError('IMAGE_CORRUPT', 'the image cannot be searched for secrets', {
      cause: new Error(found.stderr.toString('utf8')),
    });
  }
  const paths = found.stdout
    .toString('utf8')
    .split('\0')
    .filter((path) => path !== '');
  const written = await Promise.all(paths.map(async (path) => `${path.slice(rootfs.length)} (${await kindOfSecret(path)})`));
  return row('secrets', [...named, ...written], 'none found');
}

/** What it is, never what it says. */
async function kindOfSecret(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return secretPatterns.find(({ expression }) => new RegExp(expression, 'm').test(text))?.name ?? 'secret';
}

const checkTimeoutMs = 60_000;

async function checkRows(
  rootfs: string,
  { checks, tools, runInside = runConfined, signal }: VerifyOptions,
): Promise<readonly VerifyRow[]> {
  if (checks.length === 0) {
    return [];
  }
  const missing = await lstat(join(rootfs, 'usr/bin/env')).then(
    () => false,
    () => true,
  );
  if (missing) {
    return [{ check: 'programs', verdict: 'fail', detail: '/usr/bin/env is missing, nothing can be run' }];
  }
  const commands = checks.map((check) => check.command);
  const results = await runInside(rootfs, commands, { tools, timeoutMs: checkTimeoutMs, signal }).catch((error: unknown) => {
    if (isCasemateError(error) && error.code === 'TIMED_OUT') {
      return error.message;
    }
    throw error;
  });
  if (typeof results === 'string') {
    return [{ check: 'programs', verdict: 'fail', detail: results }];
  }
  return checks.map(({ command, contains }, index): VerifyRow => {
    const result = results[index];
    const output = `${result?.stdout.toString('utf8') ?? ''}${result?.stderr.toString('utf8') ?? ''}`.trim();
    const passed = result?.exitCode === 0 && output.includes(contains);
    const firstLine = visible(output.split('\n')[0] ?? '').slice(0, 200);
    const fault = `expected "${contains}", got exit code ${result?.exitCode ?? 'none'}: ${firstLine}`;
    return { check: command.join(' '), verdict: passed ? 'pass' : 'fail', detail: passed ? firstLine : fault };
  });
}
