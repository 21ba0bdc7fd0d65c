import { homedir } from 'node:os';

import { readAgents } from '../../agents/described/read-agents.ts';
import { sealedNames } from '../../credentials/sealed/sealed-store.ts';
import type { CommandLinePolicy } from '../../policy/written/command-line-layer.ts';
import { readFacts } from '../../sandbox/host/facts.ts';
import { loadPolicy, type LoadedPolicy } from '../../sandbox/policy-files/load-policy.ts';
import type { CommandContext } from '../command.ts';

/** The policy that applies where a command was called. Reads files and settings, asks no daemon. */
export interface PolicyChoice {
  /** absolute */
  readonly explicitFile: string | undefined;
  readonly commandLine?: CommandLinePolicy | undefined;
  /** texts taken instead of those in the files of these paths */
  readonly instead?: ReadonlyMap<string, string> | undefined;
}

export async function readPolicy(
  { env, paths, cwd, uid }: CommandContext,
  { explicitFile, commandLine, instead }: PolicyChoice,
): Promise<LoadedPolicy> {
  return loadPolicy({
    paths,
    cwd,
    explicitFile,
    commandLine,
    instead,
    facts: async (registries) =>
      readFacts({
        agents: await readAgents(paths, uid),
        env,
        home: env.get('HOME') ?? homedir(),
        registries,
        stored: await sealedNames(paths.state, 'credential'),
        logins: await sealedNames(paths.state, 'login'),
      }),
  });
}
