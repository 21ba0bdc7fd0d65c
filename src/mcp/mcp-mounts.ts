import { posix } from 'node:path';

import { z } from 'zod';

import { mcpFile } from '../agents/mcp-servers.ts';
import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { hostPlace, type HostBounds } from './host-place.ts';
import { openCommand, runCommand } from './run-command.ts';
import type { ToolContext } from './tool-context.ts';
import { transferFiles } from './tools/transfer-files.ts';

/**
 * Folders of the host that a session finds in its home, for servers of the Model Context Protocol, as a copy of that moment. A
 * sandbox has one folder of the host, its project; nothing that it writes into the copy comes back.
 */
export const mcpMounts = z
  .array(
    z.strictObject({
      hostPath: z.string().min(1).max(4096).describe('file or folder in a root of yours'),
      containerPath: z.string().min(1).max(4096).describe('below `/home/agent`, and not there yet'),
      readOnly: z.boolean().default(true).describe('`false` is refused: nothing is written back'),
    }),
  )
  .max(16);

export type McpMounts = z.output<typeof mcpMounts>;

const home = '/home/agent';

/** Before anything is made. Throws `NOT_ALLOWED`, `PATH_INVALID`, `UNSUPPORTED`. */
export function checkMounts(mounts: McpMounts, bounds: HostBounds): void {
  for (const { hostPath, containerPath, readOnly } of mounts) {
    if (!readOnly) {
      throw new CasemateError('UNSUPPORTED', `mcpMounts cannot be honoured with readOnly: false for ${visible(hostPath)}`, {
        hint: 'It is copied into the session. What shall come back: transfer_files, or the project folder.',
      });
    }
    hostPlace(hostPath, bounds);
    requireFree(containerPath);
  }
}

function requireFree(path: string): void {
  const own = `${home}/${posix.dirname(mcpFile)}`;
  const isBelow = path.startsWith(`${home}/`) && path !== `${home}/`;
  if (!isBelow || posix.normalize(path) !== path || /\0/.test(path) || path === own || path.startsWith(`${own}/`)) {
    throw new CasemateError('PATH_INVALID', `mcpMounts: ${visible(path)} is not a plain path below ${home}`, {
      hint: `For example: ${home}/servers/tools. The rest of a sandbox cannot be written, and /workspace is the project.`,
    });
  }
}

/** Into a session that runs and in which nothing was done yet. */
export async function placeMounts(sessionId: string, mounts: McpMounts, context: ToolContext): Promise<void> {
  for (const { hostPath, containerPath } of mounts) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, so that a fault is told of the right one
    await makeFolder(sessionId, posix.dirname(containerPath), context);
    const copy = { sessionId, direction: 'to_container', sourcePath: hostPath, destPath: containerPath, links: 'leave_out' };
    // oxlint-disable-next-line no-await-in-loop -- as above
    await transferFiles.call(copy, context);
  }
}

async function makeFolder(name: string, path: string, context: ToolContext): Promise<void> {
  const open = await openCommand(context, { name, command: ['/bin/mkdir', '-p', '--', path], timeoutMs: 30_000 });
  const { exitCode, stderr } = await runCommand(context, open, { maxOutputBytes: 1024, quiet: true });
  if (exitCode !== 0) {
    throw new CasemateError(
      'PATH_INVALID',
      `mcpMounts: ${visible(path)} cannot be made: ${visible(stderr.trim()).slice(0, 200)}`,
    );
  }
}
