import { chown, rm } from 'node:fs/promises';
import { join } from 'node:path';

import ipaddr from 'ipaddr.js';

import { cleanupStack } from '../../base/cleanup.ts';
import type { Identity } from '../foreign/run-foreign.ts';
import { canary, layGrounds, type Grounds } from './grounds.ts';
import { startHostProcess, type HostProcess } from './host-process.ts';
import { plantedNames } from './planted-names.ts';
import { startSink, type Sink } from './sink.ts';
import type { Watch } from './watch.ts';

/** Plants canaries, opens the sink and starts the process that must not be seen. */
export interface WatchOptions {
  /** where the folders are made; default: the folder for temporary files */
  readonly folder?: string | undefined;
  /** who owns them and runs the process; default: the caller */
  readonly as?: Identity | undefined;
  /** whether the sandbox is started with `env`, which holds keys; default yes */
  readonly keys?: boolean | undefined;
  /** of a resolver that this host uses */
  readonly asked?: (() => readonly string[]) | undefined;
}

export async function startWatch({ folder, as, asked, keys = true }: WatchOptions = {}): Promise<Watch> {
  const cleanup = cleanupStack();
  try {
    const grounds = await layGrounds(folder, as);
    cleanup.add('remove the folders of the proof', () => rm(grounds.root, { recursive: true, force: true }));
    const sink = await startSink();
    cleanup.add('close the sink', () => sink.close());
    const secret = canary();
    const process = startHostProcess(secret, as);
    cleanup.add('end the process that was to be seen', () => process.end());
    const sockets = await openSockets(sink, grounds, as);
    const variables = Object.fromEntries((keys ? keyNames : []).map((name) => [name, canary()]));
    const mark = join(grounds.folders.home, `mark-${grounds.nonce}`);
    return {
      folders: grounds.folders,
      canaries: {
        nonce: grounds.nonce,
        files: grounds.files,
        credentials: grounds.credentials,
        variables,
        process: { pid: process.pid, value: secret },
        mark,
        protectedNames: plantedNames,
      },
      sink,
      sockets,
      env: { ...variables, SSH_AUTH_SOCK: join(grounds.folders.home, agentSocket) },
      tells: {
        ...tellsOf({ grounds, sink, process, mark, sockets }),
        ...(asked === undefined ? {} : { look_up: told(`${grounds.nonce}.names.test`) }),
      },
      asked,
      close: () => cleanup.run(),
    };
  } catch (error) {
    await cleanup.run().catch(() => undefined);
    throw error;
  }
}

const agentSocket = '.agent.sock';
/** Where people keep keys for the programs they start. */
const keyNames = ['ANTHROPIC_API_KEY', 'OPENAI_API_KEY', 'GITHUB_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'NPM_TOKEN'];

async function openSockets(sink: Sink, { folders, nonce }: Grounds, as: Identity | undefined): Promise<Watch['sockets']> {
  const agent = join(folders.home, agentSocket);
  const abstract = `@casemate-proof-${nonce}`;
  await sink.listenUnix(agent);
  await (as === undefined ? undefined : chown(agent, as.uid, as.gid));
  await sink.listenUnix(abstract);
  return { 'agent of keys': agent, 'abstract socket': abstract };
}

interface Known {
  readonly grounds: Grounds;
  readonly sink: Sink;
  readonly process: HostProcess;
  readonly mark: string;
  readonly sockets: Watch['sockets'];
}

function tellsOf({ grounds, sink, process, mark, sockets }: Known): Readonly<Record<string, string>> {
  const { nonce, folders } = grounds;
  const targets = sink.addresses.flatMap(({ family, address }) => [address, String(family), packedAddress(address)]);
  return {
    reach: told(nonce, String(sink.port), ...targets),
    host_listeners: told(nonce, ...Object.entries(sockets).flat()),
    host_process: told(...process.name),
    home_canaries: told(...Object.keys(grounds.credentials)),
    host_canaries: told(nonce, mark, ...Object.keys(grounds.files)),
    leave_behind: told(nonce, folders.work, ...plantedNames),
    sweep: told(nonce, folders.work),
  };
}

/** Words as the questions read them. */
export function told(...words: readonly string[]): string {
  return words.map(encodeURIComponent).join(' ');
}

/** The bytes of an address, in hex: 4 or 16. */
export function packedAddress(address: string): string {
  return Buffer.from(ipaddr.parse(address).toByteArray()).toString('hex');
}
