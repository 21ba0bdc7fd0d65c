import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Plan } from '../../sandbox/plan.ts';
import { spawnProcess } from '../../system/process.ts';
import type { Inside, Target } from '../probe.ts';
import type { Lab, LabSandbox } from './lab.ts';
import { createRelay, relayCommand, type Relay } from './relay.ts';

/** A sandbox of the lab: made, started and entered through the command line, as a user would. */
export interface SandboxOptions {
  readonly name: string;
  readonly start: boolean;
  /** the program that starts the command line, for connections that live longer than a call */
  readonly program: readonly [string, ...string[]];
  /** is given what ends it */
  readonly onEnd: (close: () => void) => void;
}

type Base = Pick<Lab, 'folder' | 'casemate' | 'env'>;

export async function makeSandbox(lab: Base, { name, start, program, onEnd }: SandboxOptions): Promise<LabSandbox> {
  const workspace = join(lab.folder, `work-${name}`);
  await furnishWorkspace(workspace);
  await must(lab, ['create', name, '--workspace', workspace], workspace);
  if (start) {
    await must(lab, ['start', name], workspace);
  }
  const { sandbox, plan } = await inspect(lab, name);
  let relay: Promise<Relay> | undefined;
  const through = (): Promise<Relay> => (relay ??= startRelay(lab, { name, program, onEnd }));
  return {
    name,
    id: sandbox.id,
    workspace,
    target: labTarget(lab, { name, plan }),
    connect: async (host, port) => await (await through()).connect(host, port),
    lookup: async (host) => await (await through()).lookup(host),
  };
}

interface Inspected {
  readonly sandbox: { readonly id: string };
  readonly plan: Plan;
  readonly processes: readonly number[];
}

async function inspect(lab: Base, name: string): Promise<Inspected> {
  const { out } = await must(lab, ['inspect', name, '--json'], lab.folder);
  // oxlint-disable-next-line no-unsafe-type-assertion -- what this very program prints
  return JSON.parse(out.toString('utf8')) as Inspected;
}

/** A small project: what an agent would find, with a repository whose settings must stay as they are. */
async function furnishWorkspace(folder: string): Promise<void> {
  await mkdir(join(folder, '.git/hooks'), { recursive: true });
  await mkdir(join(folder, '.git/objects'));
  await mkdir(join(folder, '.git/refs/heads'), { recursive: true });
  await writeFile(join(folder, '.git/HEAD'), 'ref: refs/heads/main\n');
  await writeFile(join(folder, '.git/config'), '[core]\n\trepositoryformatversion = 0\n\tbare = false\n');
  await writeFile(join(folder, 'README.md'), '# A project of the lab\n');
}

async function must(lab: Base, args: readonly string[], cwd: string): Promise<Inside> {
  const result = await lab.casemate(args, { cwd });
  if (result.code !== 0) {
    const said = visible(result.err.toString('utf8').trim().slice(0, 400));
    throw new CasemateError(
      'ENGINE_FAILED',
      `the lab could not be made: casemate ${args[0] ?? ''} ended with ${result.code}: ${said}`,
    );
  }
  return result;
}

function labTarget(lab: Base, { name, plan }: { readonly name: string; readonly plan: Plan }): Target {
  return {
    name,
    plan,
    inside: (command, options) => lab.casemate(['exec', name, '--no-tty', '--', ...command], options),
    async processes() {
      return (await inspect(lab, name)).processes;
    },
  };
}

async function startRelay(lab: Base, { name, program, onEnd }: Omit<SandboxOptions, 'start'>): Promise<Relay> {
  const [file, ...first] = program;
  const args = [...first, 'exec', name, '--no-tty', '--', ...(await relayCommand())];
  const child = spawnProcess(file, args, { cwd: lab.folder, env: lab.env, stdio: ['pipe', 'pipe', 'ignore'] });
  if (child.stdout === null || child.stdin === null) {
    throw new CasemateError('ENGINE_FAILED', 'the relay of the lab has no streams');
  }
  const relay = createRelay(child.stdout, child.stdin);
  onEnd(() => {
    relay.close();
    child.kill('SIGTERM');
  });
  return relay;
}
