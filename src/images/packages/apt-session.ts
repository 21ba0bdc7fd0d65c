import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { readTextIfPresent } from '../../system/files.ts';
import { run, type RunResult } from '../../system/process.ts';
import { chooseSources, isEmpty, type ChosenSources, type SourceFile } from './apt-sources.ts';
import { toolFailure, type ImageTools } from '../tools/image-tools.ts';
import { removeTrees } from '../tools/remove-trees.ts';

/**
 * Runs the host's apt with the host's settings (sources, keys, proxies, logins) but with our own state: it sees an empty system
 * and changes nothing on the host. Runs as the caller.
 */
export interface AptSession {
  readonly run: (
    program: 'apt-get' | 'apt-cache',
    args: readonly string[],
    options?: { readonly cwd?: string },
  ) => Promise<RunResult>;
  /** Throws `IMAGE_BUILD_FAILED` when apt says so or was killed. */
  readonly need: (
    program: 'apt-get' | 'apt-cache',
    args: readonly string[],
    options?: { readonly cwd?: string },
  ) => Promise<string>;
}

export interface AptRequest {
  readonly suite: string;
  /** Debian's name, e.g. `amd64` */
  readonly architecture: string;
  /** kept between builds, so that package lists are fetched when they changed */
  readonly folder: string;
  readonly tools: ImageTools;
  readonly etcApt?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export async function aptSession(request: AptRequest): Promise<AptSession> {
  const { folder, tools, signal } = request;
  await Promise.all(
    ['state/lists/partial', 'cache/archives/partial', 'log', 'sources'].map((name) =>
      mkdir(join(folder, name), { recursive: true }),
    ),
  );
  const hosts = await hostSources(request.etcApt ?? '/etc/apt', request.suite);
  const chosen = isEmpty(hosts) ? await defaultSources(request) : hosts;
  await writeIfChanged(join(folder, 'sources/host.list'), chosen.list);
  await writeIfChanged(join(folder, 'sources/host.sources'), chosen.sources);
  await writeIfChanged(join(folder, 'status'), '');
  const config = join(folder, 'apt.conf');
  await writeIfChanged(config, configuration(request));
  const start = (program: string, args: readonly string[], { cwd = folder }: { cwd?: string } = {}): Promise<RunResult> =>
    run('setpriv', ['--pdeathsig', 'KILL', '--', program, '-c', config, ...args], { cwd, env: tools.env, signal });
  return {
    run: start,
    async need(program, args, options) {
      const result = await start(program, args, options);
      if (result.exitCode !== 0) {
        throw toolFailure(program, result.stderr.toString('utf8'));
      }
      return result.stdout.toString('utf8');
    },
  };
}

/** apt keeps its digested package lists only as long as none of these files is newer. */
async function writeIfChanged(path: string, content: string): Promise<void> {
  if ((await readTextIfPresent(path)) !== content) {
    await writeFile(path, content, { mode: 0o600 });
  }
}

/** `apt.conf(5)`. Read after the host's own files, so it may clear what they set: hooks of the host are not run. */
function configuration({ folder, architecture }: AptRequest): string {
  const settings: Readonly<Record<string, string>> = {
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Log': join(folder, 'log'),
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(folder, 'sources'),
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'APT::Architecture': architecture,
    'APT::Install-Recommends': '0',
    'APT::Install-Suggests': '0',
    'APT::Default-Release': '',
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    // Some hosts keep lists packed, which costs seconds at every reading.
    'Acquire::GzipIndexes': 'false',
    'Acquire::Retries': '2',
  };
  const hooks = [
    'APT::Update::Pre-Invoke',
    'APT::Update::Post-Invoke',
    'APT::Update::Post-Invoke-Success',
    'DPkg::Pre-Invoke',
    'DPkg::Post-Invoke',
    'DPkg::Pre-Install-Pkgs',
  ];
  return [
    ...[...hooks, 'APT::Architectures', 'Acquire::Languages'].map((name) => `#clear ${name};`),
    ...Object.entries(settings).map(([name, value]) => `${name} "${value.replaceAll('"', '')}";`),
    '',
  ].join('\n');
}

async function hostSources(etcApt: string, suite: string): Promise<ChosenSources> {
  const parts = await readdir(join(etcApt, 'sources.list.d')).catch(() => []);
  const paths = [
    join(etcApt, 'sources.list'),
    ...parts.toSorted((a, b) => (a < b ? -1 : 1)).map((name) => join(etcApt, 'sources.list.d', name)),
  ];
  const files = await Promise.all(
    paths.map(async (name): Promise<SourceFile> => ({ name, text: await readFile(name, 'utf8').catch(() => '') })),
  );
  return chooseSources(files, suite);
}

/** On a host without sources of this release: what mmdebstrap itself would use. */
async function defaultSources({ tools, folder, suite }: AptRequest): Promise<ChosenSources> {
  const probe = join(folder, 'probe');
  const list = join(probe, 'etc/apt/sources.list');
  await removeTrees(tools, [probe]);
  try {
    await tools.run(
      'mmdebstrap',
      ['--mode=root', '--quiet', '--variant=custom', '--skip=update,download,install', suite, probe],
      { isolated: true },
    );
    return { list: await readFile(list, 'utf8'), sources: '' };
  } catch (cause) {
    throw new CasemateError('IMAGE_BUILD_FAILED', `this host has no package sources of Debian ${suite}`, {
      cause,
      hint: 'Add them to /etc/apt, or install debian-archive-keyring so that the default ones can be checked.',
    });
  } finally {
    await removeTrees(tools, [probe]);
    await rm(probe, { recursive: true, force: true });
  }
}
