import { access, readFile } from 'node:fs/promises';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { dataFile } from '../../system/data-file.ts';
import { run } from '../../system/process.ts';
import type { SandboxSpec } from '../engine.ts';
import { limitSockets, socketLimit } from '../oci/cgroups.ts';
import { groupsFolder, handBody } from './container-bodies.ts';
import { makeContainer, removeContainer, startContainer } from './containers.ts';
import type { DockerContext } from './context.ts';
import { runInside } from './inside.ts';
import { bodyFacts } from './make-keeper.ts';

/**
 * What changes the mounts and groups of a container from outside. Root does it itself. An ordinary user, who may use the engine
 * and nothing else, has it done by a container of ours that lives for these few calls: it has the rights of root over this host
 * that whoever may use the engine has anyway, no network, no file of the host's but the groups, and runs one program of ours.
 */
export interface Hand {
  /** Carries out a plan of `stage.pl`. Answers what went wrong; empty: nothing. */
  readonly stage: (plan: string) => Promise<string>;
  /** of a group of the memory controller, with cgroup v1 */
  readonly limitSockets: (group: string, memoryBytes: number) => Promise<void>;
}

/** Of an argument of a program Linux takes 128 KiB (execve(2)). */
const pieceCharacters = 60_000;
const root = '0:0';
/** The plan stands in the arguments: a command of the engine's has no input of ours. */
const planFromArguments = "our $plan = join '', splice @ARGV, 2; close STDIN; open STDIN, '<', \\$plan or exit 96;\n";
const writeFileProgram = 'open my $f, ">", $ARGV[0] or die "$!\\n"; print $f $ARGV[1] and close $f or die "$!\\n"';

/** `image`: id of ours in the engine. */
export async function withHand<T>(
  context: DockerContext,
  { spec, image }: { readonly spec: SandboxSpec; readonly image: () => Promise<string> },
  work: (hand: Hand) => Promise<T>,
): Promise<T> {
  const { options, facts } = context;
  if (options.uid === 0 || (await facts()).userNamespace) {
    return work(ownHand(context));
  }
  const body = handBody(await bodyFacts(context, spec, await image()), { groups: await memoryGroups() });
  const id = await makeContainer(context, `casemate-${spec.id}-hand-${Date.now().toString(36)}`, body);
  try {
    await startContainer(context, id);
    return await work(engineHand(context, id));
  } finally {
    await removeContainer(context, id);
  }
}

/** Where the memory of sockets is counted apart, which is with cgroup v1. */
async function memoryGroups(): Promise<string | undefined> {
  const folder = '/sys/fs/cgroup/memory';
  return access(folder).then(
    () => folder,
    () => undefined,
  );
}

function ownHand({ machine, options }: DockerContext): Hand {
  return {
    async stage(plan) {
      const args = [dataFile('engines/oci/stage.pl'), machine, String(process.pid)];
      const { exitCode, stderr } = await run('perl', args, { env: options.env, input: plan, timeoutMs: 30_000 });
      return exitCode === 0 ? '' : said(stderr.toString('utf8'));
    },
    limitSockets,
  };
}

function engineHand(context: DockerContext, container: string): Hand {
  const ask = async (command: readonly string[]): Promise<string> => {
    const { exitCode, stderr } = await runInside(context, { container, user: root, command, timeoutMs: 30_000 });
    return exitCode === 0 ? '' : said(stderr);
  };
  return {
    async stage(plan) {
      const program = planFromArguments + (await readFile(dataFile('engines/oci/stage.pl'), 'utf8'));
      return ask(['perl', '-e', program, context.machine, '0', ...pieces(plan)]);
    },
    async limitSockets(group, memoryBytes) {
      const { path, text } = socketLimit(group, memoryBytes, groupsFolder);
      const why = await ask(['perl', '-e', writeFileProgram, path, text]);
      if (why !== '') {
        throw new CasemateError('ENGINE_FAILED', `cannot limit the memory of sockets: ${why}`);
      }
    },
  };
}

function pieces(text: string): readonly string[] {
  return text.match(new RegExp(`[^]{1,${pieceCharacters}}`, 'g')) ?? [];
}

function said(stderr: string): string {
  return visible(stderr.trim()).slice(0, 300) || 'no reason given';
}
