import { open, readdir, readFile, readlink } from 'node:fs/promises';

import { visible } from '../base/text.ts';
import type { ProcessIdentity } from '../system/process-identity.ts';
import type { SandboxConnection, SendingProcess } from './engine.ts';
import { processesInside } from './processes.ts';

/**
 * Which process of a sandbox holds a connection: the kernel's table of its network namespace gives the socket, and the
 * descriptors of its processes say who has it. This is a snapshot of things that change; `undefined` is an honest answer.
 */

const greatestDescriptors = 65_536;
const greatestTableBytes = 4 * 1024 * 1024;
const commandBytes = 4096;

export async function sendingProcess(init: ProcessIdentity, connection: SandboxConnection): Promise<SendingProcess | undefined> {
  const inode = await socketOf(init.pid, connection);
  if (inode === undefined) {
    return undefined;
  }
  let left = greatestDescriptors;
  for (const pid of await processesInside(init)) {
    // oxlint-disable-next-line no-await-in-loop -- most often one of the first has it
    const names = await readdir(`/proc/${pid}/fd`).catch((): string[] => []);
    left -= names.length;
    if (left < 0) {
      return undefined;
    }
    // oxlint-disable-next-line no-await-in-loop -- as above
    const links = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
    if (links.includes(`socket:[${inode}]`)) {
      // oxlint-disable-next-line no-await-in-loop -- ends the loop
      return { pid, command: await commandOf(pid) };
    }
  }
  return undefined;
}

/** Inode of the socket in the network namespace of that process. */
export async function socketOf(pid: number, connection: SandboxConnection): Promise<string | undefined> {
  for (const table of ['tcp', 'tcp6']) {
    // oxlint-disable-next-line no-await-in-loop -- the second is rarely needed
    const text = await readStart(`/proc/${pid}/net/${table}`, greatestTableBytes);
    const inode = inodeIn(text, connection);
    if (inode !== undefined) {
      return inode;
    }
  }
  return undefined;
}

/** In a table as `/proc/net/tcp` has it: the inode of the socket that leads from the local port to the remote place. */
function inodeIn(table: string, { localPort, remoteAddress, remotePort }: SandboxConnection): string | undefined {
  const remote = `${hexAddress(remoteAddress)}:${hexPort(remotePort)}`;
  const row = table.split('\n').find((line) => {
    const [, local = '', peer = ''] = line.trim().split(/\s+/);
    // IPv6 sockets show IPv4 in its mapped form, whose last eight digits are those of the address.
    return local.endsWith(`:${hexPort(localPort)}`) && peer.endsWith(remote);
  });
  const inode = row?.trim().split(/\s+/)[9];
  return inode === undefined || inode === '0' ? undefined : inode;
}

/** As the kernel prints it: the word in the machine's own order. */
export function hexAddress(address: string): string {
  const bytes = address
    .replace(/^::ffff:/, '')
    .split('.')
    .map(Number);
  const ordered = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? bytes.toReversed() : bytes;
  return ordered
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase();
}

export function hexPort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

/** What it calls itself: it may lie, so this is a hint for a person and nothing else. */
async function commandOf(pid: number): Promise<string> {
  const line = (await readStart(`/proc/${pid}/cmdline`, commandBytes)).replaceAll('\0', ' ').trim();
  const name = line === '' ? await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '') : line;
  return visible(name.trim()).slice(0, 300);
}

async function readStart(path: string, bytes: number): Promise<string> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) {
    return '';
  }
  try {
    const parts: Buffer[] = [];
    for (let length = 0; length < bytes;) {
      // oxlint-disable-next-line no-await-in-loop -- /proc gives a page at a time
      const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(65_536, bytes - length)), 0, undefined, null);
      if (bytesRead === 0) {
        break;
      }
      length += bytesRead;
      parts.push(buffer.subarray(0, bytesRead));
    }
    return Buffer.concat(parts).toString('latin1');
  } catch {
    // The process may have ended meanwhile.
    return '';
  } finally {
    await file.close();
  }
}
