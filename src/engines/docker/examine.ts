import { CasemateError } from '../../base/errors.ts';
import { layers, type LayerName } from '../../base/layers.ts';
import { visible } from '../../base/text.ts';
import type { LayerReport } from '../engine.ts';
import { compareVersions, judgeRuntime, parseVersion } from '../oci/runtime-floors.ts';
import { apiVersion, type DockerClient } from './docker-client.ts';
import { fieldsOf, numberOf, rowsOf, textOf, type Fields } from './read-json.ts';

/** What the engine says of itself, and which layers of protection follow. What it gives a container is read back at each start. */

export interface EngineFacts {
  /** the engine's own id */
  readonly id: string;
  /** of containerd and its runtime, e.g. `20.10.24` */
  readonly version: string;
  readonly processors: number;
  readonly limits: { readonly memory: boolean; readonly swap: boolean; readonly cpu: boolean; readonly pids: boolean };
  /** e.g. `seccomp`, `rootless`, `userns`, `apparmor` */
  readonly security: readonly string[];
  /** by which it starts containers */
  readonly runtimes: readonly string[];
  readonly runc: { readonly version: string; readonly package: string | undefined };
}

/** Throws `ENGINE_FAILED` when the engine does not answer, or speaks no version of the API that is spoken here. */
export async function engineFacts(client: DockerClient): Promise<EngineFacts> {
  const [version, info] = await Promise.all([client.must('GET', '/version'), client.must('GET', '/info')]);
  return factsIn(fieldsOf(version), fieldsOf(info));
}

function factsIn(version: Fields, info: Fields): EngineFacts {
  const api = textOf(version['ApiVersion']);
  if (parseVersion(api) === undefined || compareVersions(api, apiVersion) < 0) {
    throw new CasemateError('ENGINE_FAILED', `the engine speaks API ${visible(api) || 'of no version'}; ${apiVersion} is needed`);
  }
  if (textOf(info['OSType']) !== 'linux') {
    throw new CasemateError('ENGINE_FAILED', 'the engine runs no Linux containers');
  }
  return {
    id: textOf(info['ID']),
    version: textOf(version['Version']),
    processors: numberOf(info['NCPU']) ?? 1,
    limits: {
      memory: info['MemoryLimit'] === true,
      swap: info['SwapLimit'] === true,
      cpu: info['CpuCfsQuota'] === true,
      pids: info['PidsLimit'] === true,
    },
    security: rowsOf(info['SecurityOptions']).flatMap((row) => /^name=([\w-]+)/.exec(textOf(row))?.[1] ?? []),
    runtimes: Object.keys(fieldsOf(info['Runtimes'])),
    runc: runcIn(version),
  };
}

function runcIn(version: Fields): EngineFacts['runc'] {
  const components = rowsOf(version['Components']).map(fieldsOf);
  const runc = components.find(({ Name }) => Name === 'runc') ?? {};
  const commit = textOf(fieldsOf(runc['Details'])['GitCommit']);
  return { version: parseVersion(textOf(runc['Version'])) ?? '', package: commit.includes('+deb') ? commit : undefined };
}

type Answer = Omit<LayerReport, 'layer'>;

const present = (detail: string): Answer => ({ available: true, detail });
const missing = (detail: string): Answer => ({ available: false, detail });

/** Pure. */
export function layersOf(facts: EngineFacts, runtime: string): readonly LayerReport[] {
  const { security, limits, version } = facts;
  const limited = (isLimited: boolean, what: string): Answer =>
    isLimited ? present(`Docker ${version} limits ${what}`) : missing(`Docker ${version} cannot limit ${what} on this machine`);
  const answers: Readonly<Record<LayerName, Answer>> = {
    'user-namespace': missing(
      `containers of Docker ${version} have the host's user ids: the sandbox runs as the owner of its workspace, never as root and without any right, but a flaw of the kernel that gives root inside gives root outside`,
    ),
    'idmapped-mounts': present('not needed: the sandbox runs as the owner of its workspace'),
    seccomp: security.includes('seccomp')
      ? present('our own list of system calls is given to each container')
      : missing('the engine was built without seccomp'),
    'memory-limit': limited(limits.memory, 'memory'),
    'cpu-limit': limited(limits.cpu, 'processor time'),
    'pids-limit': limited(limits.pids, 'the number of processes'),
    'disk-limit': missing('Docker cannot limit the size of the home folder, which is a folder of the host'),
    'runtime-floor': runtimeAnswer(facts, runtime),
  };
  return Object.entries(answers).flatMap(([layer, answer]) => (isLayer(layer) ? [{ layer, ...answer }] : []));
}

function isLayer(name: string): name is LayerName {
  return name in layers;
}

function runtimeAnswer({ runtimes, runc, version }: EngineFacts, runtime: string): Answer {
  if (runtime !== 'runc') {
    return missing(`under Docker only runc was tried, not ${visible(runtime)}`);
  }
  return runtimes.includes('runc') ? judgeRuntime({ name: 'runc', ...runc }) : missing(`Docker ${version} has no runtime runc`);
}

/** Modes whose ids are not the host's: who owns a workspace inside cannot be told yet. Throws `ENGINE_FAILED`. */
export function requireHostIds({ security }: EngineFacts): void {
  const mode = security.find((name) => name === 'rootless' || name === 'userns');
  if (mode !== undefined) {
    throw new CasemateError('ENGINE_FAILED', `an engine in the mode ${mode} is not supported yet`);
  }
}
