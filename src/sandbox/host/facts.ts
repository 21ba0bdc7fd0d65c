import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import ipaddr from 'ipaddr.js';

import { isCasemateError } from '../../base/errors.ts';
import type { AgentFacts, Facts, RegistryFacts, RegistryKind } from '../../policy/facts.ts';
import { baseEnvironment, type Environment } from '../../system/environment.ts';
import { readTextIfPresent } from '../../system/files.ts';
import { run, type RunOptions, type RunResult } from '../../system/process.ts';
import { aptLineUrls, aptStanzaUrls, npmUrls, pipUrls, registriesOf, type FoundRegistry } from './registries.ts';

/**
 * The facts that a policy is resolved against, read from this machine. A tool that is not installed has no registry; that is not
 * a fault.
 */
export interface FactsHost {
  readonly agents: Readonly<Record<string, AgentFacts>>;
  readonly env: Environment;
  /** absolute path of the user's home */
  readonly home: string;
  /** what a policy asks for: asking npm or pip takes as long as starting them, so nothing else is asked */
  readonly registries: readonly RegistryKind[];
  /** names in the sealed store; default: none */
  readonly stored?: readonly string[] | undefined;
  /** agents with a login; default: none */
  readonly logins?: readonly string[] | undefined;
  readonly runTool?: (file: string, args: readonly string[], options: RunOptions) => Promise<RunResult>;
}

export async function readFacts({
  agents,
  env,
  home,
  registries,
  stored = [],
  logins = [],
  runTool = run,
}: FactsHost): Promise<Facts> {
  const tools = { env, runTool };
  const readers: Readonly<Record<RegistryKind, () => Promise<readonly string[]>>> = {
    npm: async () => npmUrls(await outputOf('npm', ['config', 'list', '--json'], tools)),
    debian: aptUrls,
    pypi: async () => pipUrls(await outputOf('pip', ['config', 'list'], tools)),
  };
  const read = async (kind: RegistryKind): Promise<readonly RegistryFacts[]> => {
    const found = registries.includes(kind) ? registriesOf(await readers[kind]()) : [];
    return Promise.all(found.map((registry) => vouchFor(registry, tools)));
  };
  const [npm, debian, pypi] = await Promise.all([read('npm'), read('debian'), read('pypi')]);
  return { agents, registries: { npm, debian, pypi }, home, stored, logins };
}

type Tools = Required<Pick<FactsHost, 'env' | 'runTool'>>;

/** Variables that settle where npm and pip look; neither holds a secret by design. */
const toolVariables =
  /^(?:npm_config_(?:registry|userconfig|globalconfig|prefix)|pip_(?:index_url|extra_index_url|config_file))$/i;

/** From `/`, so that no settings of a project are read: a project does not choose where packages come from. */
async function outputOf(file: string, args: readonly string[], { env, runTool }: Tools): Promise<string> {
  const settings = env.names().filter((name) => toolVariables.test(name));
  const values = Object.fromEntries(settings.map((name) => [name, env.get(name) ?? '']));
  try {
    const { exitCode, stdout } = await runTool(file, args, {
      cwd: '/',
      env: { ...baseEnvironment(env), ...values },
      timeoutMs: 20_000,
    });
    return exitCode === 0 ? stdout.toString('utf8') : '';
  } catch (error) {
    if (isCasemateError(error) && (error.code === 'TOOL_MISSING' || error.code === 'TIMED_OUT')) {
      return '';
    }
    throw error;
  }
}

/** A registry inside a private network is dialled there, because this machine's own settings say so; no project's can. */
async function vouchFor({ host, port, origin }: FoundRegistry, tools: Tools): Promise<RegistryFacts> {
  const answer = await outputOf('getent', ['ahosts', host], tools);
  const addresses = answer
    .split('\n')
    .flatMap((line) => line.split(/\s+/, 1)[0] ?? [])
    .filter((address) => ipaddr.isValid(address));
  const isPublic = addresses.every((address) => ipaddr.process(address).range() === 'unicast');
  return { host, port, upstream: isPublic ? undefined : origin };
}

const aptFolder = '/etc/apt';

async function aptUrls(): Promise<readonly string[]> {
  const parts = join(aptFolder, 'sources.list.d');
  const names = await readdir(parts).catch(() => []);
  const lists = [
    join(aptFolder, 'sources.list'),
    ...names.filter((name) => name.endsWith('.list')).map((name) => join(parts, name)),
  ];
  const stanzas = names.filter((name) => name.endsWith('.sources')).map((name) => join(parts, name));
  const read = (path: string): Promise<string> =>
    readTextIfPresent(path).then(
      (text) => text ?? '',
      () => '',
    );
  const [oneLine, deb822] = await Promise.all([Promise.all(lists.map(read)), Promise.all(stanzas.map(read))]);
  return [...oneLine.flatMap(aptLineUrls), ...deb822.flatMap(aptStanzaUrls)];
}
