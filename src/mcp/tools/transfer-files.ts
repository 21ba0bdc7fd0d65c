import { posix } from 'node:path';

import { z } from 'zod';

import { CasemateError } from '../../base/errors.ts';
import { phantomWatch } from '../../credentials/phantom.ts';
import { visible } from '../../base/text.ts';
import { askOnce } from '../../daemon/ask-once.ts';
import { protectedPaths } from '../../sandbox/project/protected-paths.ts';
import { transferLimits } from '../../workspace/transfer/entries.ts';
import { readEntries, readTaken, writeEntries } from '../../workspace/transfer/frames.ts';
import { openFolder } from '../../workspace/transfer/held-folder.ts';
import { hostEntries, type HostPlace } from '../../workspace/transfer/host-source.ts';
import { insideProgram } from '../../workspace/transfer/inside-program.ts';
import { gitCheck } from '../../workspace/transfer/git-target.ts';
import { writeToHost } from '../../workspace/transfer/host-target.ts';
import { hostPlace, refuseTarget } from '../host-place.ts';
import { openCommand, runCommand, type Exchange } from '../run-command.ts';
import { sessionId } from '../session-view.ts';
import { tool } from '../tool.ts';
import type { ToolContext } from '../tool-context.ts';

/**
 * Transfers files into and out of a session. A program inside sends or receives them, and the host follows nothing that a
 * sandbox wrote.
 */

const anyPath = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[^\0]*$/, 'must not hold a NUL');

const input = z.strictObject({
  sessionId,
  direction: z.enum(['to_container', 'from_container']).describe('into the sandbox or out of it'),
  sourcePath: anyPath
    .optional()
    .describe(
      'file or folder; of the host absolute and in a root, of the sandbox absolute or below /workspace. Out of a session that has the folder `exports` in its layout: default that folder',
    ),
  destPath: anyPath.describe('where it goes, likewise; into a folder that is there it goes under its own name'),
  overwrite: z.boolean().default(false).describe('files that are there are replaced'),
  links: z
    .enum(['refuse', 'leave_out'])
    .default('refuse')
    .describe('symbolic links in a folder that is sent into the sandbox: `leave_out` passes them over; none is ever followed'),
  timeoutMs: z.int().min(1000).max(3_600_000).default(600_000).describe('the transfer fails after this long'),
});

type Input = z.output<typeof input>;
type Whole = Input & { readonly sourcePath: string };

const maxListed = 200;

export const transferFiles = tool({
  name: 'transfer_files',
  title: 'Transfer files',
  about:
    `Copies a file or a folder between the host and the session, at most ${transferLimits.files} files and ${transferLimits.bytes / 1024 ** 3} GiB, hashed at both ends. ` +
    'Links of either kind, devices, pipes and sockets are refused, and so is writing what programs of the host act on by themselves (.git, .vscode, .envrc and others).',
  input,
  output: z.strictObject({
    files: z.int(),
    bytes: z.number(),
    entries: z
      .array(z.strictObject({ path: z.string(), bytes: z.number(), sha256: z.string() }))
      .describe(`the first ${maxListed} files`),
  }),
  hints: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  async run(asked, context) {
    const whole = { ...asked, sourcePath: asked.sourcePath ?? (await exportsOf(asked, context)) };
    const entries = whole.direction === 'to_container' ? await send(whole, context) : await take(whole, context);
    return {
      files: entries.length,
      bytes: entries.reduce((sum, entry) => sum + entry.bytes, 0),
      entries: entries.slice(0, maxListed),
    };
  },
});

/** What holds a protected name free in a project while a sandbox runs there. */
const placeholders = new Set(protectedPaths.map((path) => posix.basename(path)));
const sourceOptions = { limits: transferLimits, placeholders };

interface Moved {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What is taken out where nobody says what. Throws `USAGE` where the session has no such folder. */
async function exportsOf({ sessionId: name, direction }: Input, { connect }: ToolContext): Promise<string> {
  const { plan } = await askOnce(connect, 'inspect', { name });
  if (direction === 'to_container' || plan.workspace.layout?.includes('exports') !== true) {
    throw new CasemateError('USAGE', 'sourcePath is missing', {
      hint: 'Only out of a session with the folder exports in its layout is there a default: that folder.',
    });
  }
  return '/workspace/exports';
}

async function send(asked: Whole, context: ToolContext): Promise<readonly Moved[]> {
  const place = hostPlace(asked.sourcePath, context.host);
  // Everything is judged before anything is sent.
  const files: { readonly path: string; readonly bytes: number }[] = [];
  const options = { ...sourceOptions, leavesOutLinks: asked.links === 'leave_out' };
  for await (const entry of hostEntries(place, options)) {
    if (entry.kind === 'file') {
      files.push({ path: entry.path, bytes: entry.size });
    }
  }
  const destination = insidePath(asked.destPath);
  const name = place.parts.at(-1) ?? '';
  const { hashes, isInFolder } = await exchange(asked, context, {
    args: ['put', destination, asked.overwrite ? '1' : '', name],
    async work({ stdin, stdout }) {
      const [sent, answered] = await Promise.allSettled([
        writeEntries(stdin, hostEntries(place, options)).catch((error: unknown) => {
          stdin.destroy();
          throw error;
        }),
        readTaken(stdout, transferLimits),
      ]);
      // What the other end says of its trouble tells more than that it stopped listening.
      if (answered.status === 'rejected') {
        throw sent.status === 'rejected' && !isBroken(sent.reason) ? sent.reason : answered.reason;
      }
      if (sent.status === 'rejected') {
        throw sent.reason;
      }
      if (sent.value.join() !== answered.value.hashes.join()) {
        throw new CasemateError('PATH_INVALID', 'what lies in the sandbox now has other hashes than what was sent');
      }
      return answered.value;
    },
  });
  const top = isInFolder ? posix.join(destination, name) : destination;
  return files.map((file, index) => ({
    path: file.path === '' ? top : posix.join(top, file.path),
    bytes: file.bytes,
    sha256: hashes[index] ?? '',
  }));
}

function isBroken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED');
}

async function take(asked: Whole, context: ToolContext): Promise<readonly Moved[]> {
  const source = insidePath(asked.sourcePath);
  const place = await targetPlace(asked.destPath, { name: posix.basename(source), context });
  const top = `${place.root === '/' ? '' : place.root}/${place.parts.join('/')}`;
  refuseTarget(top, context.host);
  const refuseForGit = await gitCheck(top);
  const standIns: string[] = [];
  try {
    return await exchange(asked, context, {
      args: ['get', source, String(transferLimits.files), String(transferLimits.bytes), [...placeholders].join('\n')],
      work: async ({ stdout }) =>
        await writeToHost(place, readEntries(stdout, transferLimits), {
          overwrite: asked.overwrite,
          async check(target) {
            refuseTarget(target, context.host);
            await refuseForGit(target);
          },
          look: (path) => lookForStandIns(path, standIns),
        }),
    });
  } finally {
    await tellOf(standIns, asked, context);
  }
}

/** A phantom is worth nothing outside, and who sends one out tries to see where the real key goes. `found`: the paths. */
function lookForStandIns(path: string, found: string[]): (piece: Buffer) => void {
  const has = phantomWatch();
  return (piece) => {
    if (has(piece)) {
      found.push(path);
      throw new CasemateError(
        'PATH_INVALID',
        `${visible(path)} would hold a phantom, the stand-in of a credential of this sandbox`,
        {
          hint: 'It is worth nothing outside of it. Leave that file out, or take the line with it out of it first.',
        },
      );
    }
  };
}

/** On record as an alarm. A caller that cannot say so has its refusal all the same. */
async function tellOf(standIns: readonly string[], { sessionId: name }: Input, { connect }: ToolContext): Promise<void> {
  const [path] = standIns;
  if (path !== undefined) {
    await askOnce(connect, 'session-alarm', { name, path });
  }
}

async function targetPlace(
  path: string,
  { name, context }: { readonly name: string; readonly context: ToolContext },
): Promise<HostPlace> {
  const place = hostPlace(path, context.host);
  const isFolder =
    path.endsWith('/') ||
    (await openFolder(place.root, place.parts).then(
      async (folder) => await folder.close().then(() => true),
      () => false,
    ));
  return isFolder ? { root: place.root, parts: [...place.parts, name] } : place;
}

/** Relative paths start in the workspace. */
function insidePath(path: string): string {
  const full = posix.resolve('/workspace', path);
  return path.endsWith('/') && full !== '/' ? `${full}/` : full;
}

interface Work<T> {
  readonly args: readonly string[];
  readonly work: Exchange<T>;
}

async function exchange<T>(asked: Input, context: ToolContext, { args, work }: Work<T>): Promise<T> {
  const { sessionId: name, timeoutMs } = asked;
  const open = await openCommand(context, { name, command: insideProgram(args), timeoutMs });
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  const done = await runCommand(context, open, {
    maxOutputBytes: 4096,
    quiet: true,
    async exchange(io) {
      outcome = await work(io).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      );
    },
  });
  if (outcome !== undefined && 'value' in outcome && done.exitCode === 0) {
    return outcome.value;
  }
  if (done.timedOut) {
    throw new CasemateError('TIMED_OUT', `the transfer did not end within ${asked.timeoutMs} ms`);
  }
  if (done.exitCode === 127 || done.stderr.includes('Digest/SHA')) {
    throw new CasemateError('UNSUPPORTED', 'the image of this session has no perl with Digest::SHA, which transfers need', {
      hint: 'Add the package perl to its recipe.',
    });
  }
  throw outcome !== undefined && 'error' in outcome
    ? outcome.error
    : new CasemateError(
        'ENGINE_FAILED',
        `the transfer ended with exit code ${done.exitCode}: ${visible(done.stderr).slice(0, 300)}`,
      );
}
