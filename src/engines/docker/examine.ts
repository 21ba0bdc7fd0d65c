import { CasemateError } from '../../base/errors.ts';
import { layers, type LayerName } from '../../base/layers.ts';
import { visible } from '../../base/text.ts';
import type { LayerReport } from '../engine.ts';
import { judgeRuntime } from '../oci/runtime-floors.ts';
import type { EngineFacts } from './engine-facts.ts';

/** Which layers of protection follow from what the engine says of itself. The differences between engines are data here. */

type Answer = Omit<LayerReport, 'layer'>;

const present = (detail: string): Answer => ({ available: true, detail });
const missing = (detail: string): Answer => ({ available: false, detail });

/** Pure. */
export function layersOf(facts: EngineFacts, runtime: string): readonly LayerReport[] {
  const { security, limits, product, userNamespace } = facts;
  const engine = `${product} ${facts.version}`;
  const limited = (isLimited: boolean, what: string): Answer =>
    isLimited ? present(`${engine} limits ${what}`) : missing(`${engine} cannot limit ${what} on this machine`);
  const answers: Readonly<Record<LayerName, Answer>> = {
    'user-namespace': userNamespace
      ? present(`${engine} runs without root, and ids inside are subordinate ids of yours`)
      : missing(
          `containers of ${engine} have the host's user ids: the sandbox runs as the owner of its workspace, never as root and without any right, but a flaw of the kernel that gives root inside gives root outside`,
        ),
    'idmapped-mounts': present('not needed: the sandbox runs as the owner of its workspace'),
    seccomp: security.includes('seccomp')
      ? present('our own list of system calls is given to each container')
      : missing('the engine was built without seccomp'),
    'memory-limit': limited(limits.memory, 'memory'),
    'cpu-limit': limited(limits.cpu, 'processor time'),
    'pids-limit':
      userNamespace && !limits.pids
        ? present('the number of processes is limited in the user namespace of the sandbox')
        : limited(limits.pids, 'the number of processes'),
    'disk-limit': missing(`${product} cannot limit the size of the home folder, which is a folder of the host`),
    'runtime-floor': runtimeAnswer(facts, runtime),
  };
  return Object.entries(answers).flatMap(([layer, answer]) => (isLayer(layer) ? [{ layer, ...answer }] : []));
}

function isLayer(name: string): name is LayerName {
  return name in layers;
}

function runtimeAnswer({ product, runtimes, version, versions }: EngineFacts, runtime: string): Answer {
  const tried = product === 'Docker' ? ['runc'] : ['runc', 'crun'];
  if (runtime !== 'runc' && runtime !== 'crun') {
    return missing(`under ${product} only ${tried.join(' and ')} can be used, not ${visible(runtime)}`);
  }
  const known = versions.find(({ name }) => name === runtime);
  if (!tried.includes(runtime) || !runtimes.includes(runtime) || known === undefined) {
    const others = versions.map(({ name }) => visible(name)).join(', ') || 'another one';
    return missing(`${product} ${version} does not start containers with ${runtime} but with ${others}`);
  }
  return judgeRuntime({ ...known, name: runtime });
}

/**
 * Where the ids inside are not those of this host the agent has none that owns its workspace, and Docker maps no mounts. To ask
 * for a container without that would take from an engine what whoever set it up gave it. Throws `ENGINE_FAILED`.
 */
export function requireKnownIds({ product, security }: Pick<EngineFacts, 'product' | 'security'>): void {
  const mode = product === 'Podman' ? undefined : security.find((name) => name === 'rootless' || name === 'userns');
  if (mode !== undefined) {
    const how =
      mode === 'userns' ? 'is set to give its containers other user ids (userns-remap)' : 'runs as an ordinary user (rootless)';
    throw new CasemateError('ENGINE_FAILED', `this Docker Engine ${how}: in them nobody would own the workspace`, {
      hint: "Use the engine oci, which has a user namespace and maps the workspace's owner, an ordinary user's Podman, or another Docker Engine.",
    });
  }
}
