import { engineNames, type PlannedEngine } from '../../base/engine-names.ts';
import { CasemateError, toCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { byDefault } from '../../policy/layers/resolve-scalars.ts';
import type { LayerReport, Engine } from '../../engines/engine.ts';
import { differenceHint, differenceOf, isSameChoice, type EngineChoice } from '../../engines/engine-choice.ts';
import type { Policy } from '../../policy/policy.ts';
import type { PlanFacts } from '../plan/plan.ts';

/** What of a policy decides. */
export type EngineWish = Pick<Policy, 'engine' | 'runtime' | 'docker' | 'origins'>;

/** To which engine of that name the environment of whoever asks leads. */
export type CallersChoice = (name: PlannedEngine) => Promise<EngineChoice | undefined>;

/**
 * Which engine makes the sandbox, and what it lacks. `oci` says what it lacks when it refuses, and is not asked before; where
 * nobody named it and its runtime is not installed, the choice is that of `auto`. Throws
 * `UNSUPPORTED` where another engine of the same name is meant than the one that is used.
 */
export async function chooseEngine(
  engine: Engine,
  policy: EngineWish,
  callers?: CallersChoice,
): Promise<Pick<PlanFacts, 'engine' | 'engineWhy' | 'lacks'>> {
  requireContainers(policy);
  const isLeft = await isLeftToThisHost(engine, policy);
  if (policy.engine === 'oci' && !isLeft) {
    return { engine: 'oci' };
  }
  if (policy.engine !== 'auto' && !isLeft) {
    const { lacks } = await examinedAsMeant(engine, policy, { name: policy.engine, callers });
    const engineWhy = await wayOf(engine, policy.engine);
    // An engine that does not answer is told of by the start.
    return { engine: policy.engine, lacks, ...(engineWhy === undefined ? {} : { engineWhy }) };
  }
  if (policy.docker !== undefined) {
    return {
      engine: 'docker',
      engineWhy: ['containers are offered inside', (await wayOf(engine, 'docker')) ?? []].flat().join('; '),
      lacks: (await examinedAsMeant(engine, policy, { name: 'docker', callers })).lacks,
    };
  }
  const all = await Promise.all(engineNames.map((name) => examined(engine, policy, { name, callers })));
  const [best] = all.filter(isUsable).toSorted((a, b) => a.lacks.length - b.lacks.length);
  const others = all.filter(({ name }) => name !== best?.name).map(described);
  if (best === undefined) {
    all.forEach(requireAsMeant);
    return { engine: 'oci', engineWhy: others.join('; ') };
  }
  const way = best.name === 'oci' ? undefined : await wayOf(engine, best.name);
  const engineWhy = [`it lacks ${countOf(best.lacks)}`, way ?? [], ...others].flat().join('; ');
  return { engine: best.name, engineWhy, ...(best.name === 'oci' ? {} : { lacks: best.lacks }) };
}

/** Where nobody says which, and what `oci` needs is not installed: Docker or Podman alone is enough, and what it lacks is said. */
async function isLeftToThisHost(engine: Engine, { engine: name, runtime, origins }: EngineWish): Promise<boolean> {
  const isSaid = (origins['engine'] ?? byDefault).layer !== 'default';
  return name === 'oci' && !isSaid && (await engine.missingTool?.(runtime, { engine: 'oci' })) !== undefined;
}

/** How it carries traffic, where that is not the usual way: it stands in the plan. */
async function wayOf(engine: Engine, name: PlannedEngine): Promise<string | undefined> {
  return (await engine.choice?.({ engine: name }))?.way;
}

/** Throws `UNSUPPORTED`: nothing that was asked for is left out in silence. */
function requireContainers({ docker, engine, origins }: EngineWish): void {
  if (docker !== undefined && engine !== 'docker' && engine !== 'auto') {
    const { source } = origins['docker.run'] ?? byDefault;
    throw new CasemateError(
      'UNSUPPORTED',
      `${visible(source)} offers containers inside, and the engine ${engine} makes none beside a sandbox`,
      {
        hint: 'Write "engine: docker" (or --engine docker), or leave "docker" out.',
      },
    );
  }
}

type Lack = Pick<LayerReport, 'layer' | 'detail'>;

interface Examined {
  readonly name: PlannedEngine;
  readonly lacks: readonly Lack[] | undefined;
  /** why it cannot be used at all */
  readonly fault: string | undefined;
  /** in one line, where another one is meant */
  readonly differs?: string | undefined;
}

interface Examining {
  readonly name: PlannedEngine;
  readonly callers: CallersChoice | undefined;
}

function isUsable(examination: Examined): examination is Examined & { readonly lacks: readonly Lack[] } {
  return examination.lacks !== undefined;
}

async function examined(engine: Engine, { runtime }: EngineWish, { name, callers }: Examining): Promise<Examined> {
  const differs = await differenceTo(engine, { name, callers });
  if (differs !== undefined) {
    return { name, lacks: undefined, fault: differs, differs };
  }
  try {
    const reports = await engine.examine(runtime, { engine: name });
    const tool = reports.find(({ missingTool }) => missingTool !== undefined);
    const lacks = reports.filter(({ available }) => !available).map(({ layer, detail }) => ({ layer, detail }));
    return tool === undefined ? { name, lacks, fault: undefined } : { name, lacks: undefined, fault: tool.detail };
  } catch (error) {
    return { name, lacks: undefined, fault: toCasemateError(error).message };
  }
}

async function examinedAsMeant(engine: Engine, policy: EngineWish, examining: Examining): Promise<Examined> {
  const examination = await examined(engine, policy, examining);
  requireAsMeant(examination);
  return examination;
}

/** Where the engine was found is written once in the life of the process that holds the sandboxes. */
async function differenceTo(engine: Engine, { name, callers }: Examining): Promise<string | undefined> {
  const used = await engine.choice?.({ engine: name });
  const meant = used === undefined ? undefined : await callers?.(name);
  return used === undefined || meant === undefined || isSameChoice(used, meant) ? undefined : differenceOf(name, used, meant);
}

/** Whoever names an engine does not get another. */
function requireAsMeant({ differs }: Examined): void {
  if (differs !== undefined) {
    throw new CasemateError('UNSUPPORTED', differs, { hint: differenceHint });
  }
}

function described({ name, lacks, fault }: Examined): string {
  return lacks === undefined ? `${name} cannot be used: ${fault ?? ''}` : `${name} lacks ${countOf(lacks)}`;
}

function countOf(lacks: readonly Lack[]): string {
  return lacks.length === 0 ? 'nothing' : lacks.map(({ layer }) => layer).join(' and ');
}
