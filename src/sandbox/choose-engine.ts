import { toCasemateError } from '../base/errors.ts';
import type { LayerReport, Engine } from '../engines/engine.ts';
import type { Policy } from '../policy/policy.ts';
import type { PlanFacts } from './plan.ts';

/** Which engine makes the sandbox, and what it lacks. `oci` says what it lacks when it refuses, and is not asked before. */
export async function chooseEngine(engine: Engine, policy: Policy): Promise<Pick<PlanFacts, 'engine' | 'engineWhy' | 'lacks'>> {
  if (policy.engine === 'oci') {
    return { engine: 'oci' };
  }
  const docker = await examined(engine, policy, 'docker');
  if (policy.engine === 'docker') {
    // An engine that does not answer is told of by the start.
    return { engine: 'docker', lacks: 'fault' in docker ? undefined : docker.lacks };
  }
  const oci = await examined(engine, policy, 'oci');
  if ('fault' in docker) {
    return { engine: 'oci', engineWhy: `docker cannot be used: ${docker.fault}` };
  }
  if (!('fault' in oci) && oci.lacks.length <= docker.lacks.length) {
    return { engine: 'oci', engineWhy: `it lacks ${countOf(oci.lacks)}, docker ${countOf(docker.lacks)}` };
  }
  const why =
    'fault' in oci ? `oci cannot be used: ${oci.fault}` : `it lacks ${countOf(docker.lacks)}, oci ${countOf(oci.lacks)}`;
  return { engine: 'docker', engineWhy: why, lacks: docker.lacks };
}

type Lack = Pick<LayerReport, 'layer' | 'detail'>;

async function examined(
  engine: Engine,
  { runtime }: Policy,
  name: 'oci' | 'docker',
): Promise<{ readonly lacks: readonly Lack[] } | { readonly fault: string }> {
  try {
    const reports = await engine.examine(runtime, { engine: name });
    const tool = reports.find(({ missingTool }) => missingTool !== undefined);
    return tool === undefined
      ? { lacks: reports.filter(({ available }) => !available).map(({ layer, detail }) => ({ layer, detail })) }
      : { fault: tool.detail };
  } catch (error) {
    return { fault: toCasemateError(error).message };
  }
}

function countOf(lacks: readonly Lack[]): string {
  return lacks.length === 0 ? 'nothing' : lacks.map(({ layer }) => layer).join(' and ');
}
