import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { stringify } from 'yaml';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import type { Inside, Target } from '../target.ts';
import { createHand, handCommand, type Hand } from './hand.ts';
import type { Lab, LabLimits, LabSandbox } from './lab.ts';
import { createRelay, relayCommand, type Relay } from './relay.ts';
import { type Inspected } from './told.ts';

/** A sandbox of the lab: made, started and entered through the command line, as a user would. */
export interface SandboxOptions {
  readonly name: string;
  readonly start: boolean;
  /** narrower than those of the policy that is proved */
  readonly limits?: LabLimits | undefined;
  /** is given what ends it */
  readonly onEnd: (close: () => void) => void;
}

type Base = Pick<Lab, 'folder' | 'casemate' | 'open' | 'give'>;

export async function makeSandbox(lab: Base, options: SandboxOptions): Promise<LabSandbox> {
  const { name, start, limits } = options;
  const workspace = join(lab.folder, `work-${name}`);
  await furnishWorkspace(workspace);
  await lab.give(workspace);
  const narrowed = limits === undefined ? [] : ['--policy', await writeLimits(lab, name, limits)];
  await must(lab, ['create', name, '--workspace', workspace, ...narrowed], workspace);
  if (start) {
    await must(lab, ['start', name], workspace);
  }
  const { sandbox, plan } = await inspect(lab, name);
  const through = kept(() => startRelay(lab, options));
  return {
    name,
    id: sandbox.id,
    workspace,
    target: labTarget(lab, { name, plan }),
    connect: async (host, port) => await (await through()).connect(host, port),
    lookup: async (host) => await (await through()).lookup(host),
    // Who takes too much is ended, and the hand may be with it.
    hand: kept(() => startHand(lab, options)),
  };
}

/** One program inside for all who ask; started anew when it has ended, as with a sandbox that was stopped. */
function kept<T extends { readonly hasEnded: () => boolean }>(start: () => Promise<T>): () => Promise<T> {
  let held: Promise<T> | undefined;
  return async () => {
    const before = held;
    const present = await before?.catch(() => undefined);
    if (held === undefined || (held === before && present?.hasEnded() !== false)) {
      held = start();
    }
    return await held;
  };
}

/** A project's policy may only narrow; it lies beside the workspace, not in it. */
async function writeLimits({ folder }: Base, name: string, limits: LabLimits): Promise<string> {
  const path = join(folder, `policy-${name}.yaml`);
  await writeFile(path, stringify({ version: 1, limits }));
  return path;
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

async function startRelay(lab: Base, options: SandboxOptions): Promise<Relay> {
  const { from, to, end } = lab.open(['exec', options.name, '--no-tty', '--', ...(await relayCommand())]);
  const relay = createRelay(from, to);
  options.onEnd(() => {
    relay.close();
    end();
  });
  return relay;
}

async function startHand(lab: Base, options: SandboxOptions): Promise<Hand> {
  const { from, to, end } = lab.open(['exec', options.name, '--no-tty', '--', ...(await handCommand())]);
  const hand = createHand(from, to);
  options.onEnd(() => {
    hand.close();
    end();
  });
  return hand;
}
