import { engineNames, type PlannedEngine } from '../../base/engine-names.ts';
import type { Engine } from '../../engines/engine.ts';
import type { ImageStore } from '../../images/image.ts';
import { baseEnvironment, type Environment } from '../../system/environment.ts';
import { formatBytes } from '../../base/units.ts';
import type { Paths } from '../../system/paths.ts';
import { run } from '../../system/process.ts';
import { currentShare } from './host-share.ts';
import { isCasemateError, toCasemateError } from '../../base/errors.ts';

/** What this host supports. Each row is answered by running or reading the thing itself. */
export interface HostCheck {
  readonly check: string;
  /** `missing` stops a start; `absent` only closes a way that is not needed now */
  readonly verdict: 'ok' | 'missing' | 'absent';
  readonly detail: string;
}

export interface ExamineParts {
  readonly engines: Readonly<Record<PlannedEngine, Engine>>;
  /** the one whose layers are needed */
  readonly engine: PlannedEngine;
  readonly images: ImageStore;
  readonly env: Environment;
  readonly runtime: string;
  readonly uid: number;
  readonly paths: Pick<Paths, 'organisation' | 'config'>;
  /** how long a program may take to say its version; default 30 s, for a machine that is slow or busy */
  readonly patienceMs?: number | undefined;
}

interface Program {
  readonly name: string;
  readonly args: readonly string[];
  readonly needed: (parts: ExamineParts) => boolean;
  readonly from: string;
}

const always = (): boolean => true;
const rootless = ({ uid }: ExamineParts): boolean => uid !== 0;
const startedWith =
  (name: string) =>
  ({ engine, runtime }: ExamineParts): boolean =>
    engine === 'oci' && runtime === name;

const programs: readonly Program[] = [
  { name: 'runc', args: ['--version'], needed: startedWith('runc'), from: 'runc' },
  { name: 'crun', args: ['--version'], needed: startedWith('crun'), from: 'crun' },
  { name: 'runsc', args: ['--version'], needed: startedWith('runsc'), from: 'runsc' },
  { name: 'unshare', args: ['--version'], needed: always, from: 'util-linux' },
  { name: 'nsenter', args: ['--version'], needed: always, from: 'util-linux' },
  { name: 'perl', args: ['-e', 'print "perl $^V"'], needed: always, from: 'perl-base' },
  { name: 'mmdebstrap', args: ['--version'], needed: always, from: 'mmdebstrap' },
  { name: 'newuidmap', args: [], needed: rootless, from: 'uidmap' },
];

export async function examineHost(parts: ExamineParts): Promise<readonly HostCheck[]> {
  const rows = await Promise.all(programs.map((program) => checkProgram(program, parts)));
  const layers = await checkLayers(parts);
  const others = await otherEngines(parts);
  const images = await parts.images.list();
  return [
    { check: 'node', verdict: 'ok', detail: process.versions.node },
    ...rows,
    ...others,
    ...(await enginePlaces(parts)),
    await checkShare(parts),
    ...layers,
    {
      check: 'images',
      verdict: images.length > 0 ? 'ok' : 'absent',
      detail: images.length > 0 ? images.map(({ recipe }) => recipe).join(', ') : 'none is built; run: casemate setup',
    },
  ];
}

/** What the engine of the start gives; one that cannot be asked is a row, too: the others still help. */
async function checkLayers({ engines, engine, runtime }: ExamineParts): Promise<readonly HostCheck[]> {
  try {
    const reports = await engines[engine].examine(runtime);
    return reports.map(({ layer, available, detail }) => ({ check: layer, verdict: available ? 'ok' : 'missing', detail }));
  } catch (error) {
    return [{ check: `engine ${engine}`, verdict: 'missing', detail: told(error) }];
  }
}

/** Throws what is a fault of ours. */
function told(error: unknown): string {
  if (!isCasemateError(error)) {
    throw error;
  }
  const { message, hint } = error;
  return hint === undefined ? message : `${message}; ${hint}`;
}

/** A group of this name has those limits for a moment, and is read back. */
async function checkShare({ engines, paths, uid }: ExamineParts): Promise<HostCheck> {
  const check = 'all sandboxes together';
  try {
    const { running, memoryBytes, cpus, pids, ready } = await currentShare(paths);
    const may = `${running} may run at once, ${ready} wait ready`;
    const together = await engines.oci.limitTogether?.(`doctor-${process.pid}`, { memoryBytes, cpus, pids });
    if (together?.memoryLimitBytes === undefined) {
      const why = uid === 0 ? 'this host has no groups for it' : 'only root can; each sandbox has limits of its own';
      return { check, verdict: 'absent', detail: `not limited together: ${why}; ${may}` };
    }
    const processors = cpus === undefined ? 'all processors, with the weight of one group' : `${cpus} processors`;
    const memory = `${formatBytes(together.memoryLimitBytes)} of memory`;
    return {
      check,
      verdict: 'ok',
      detail: `${memory}, ${processors}, ${together.pidsLimit ?? 'any number of'} processes; ${may}`,
    };
  } catch (error) {
    return { check, verdict: 'missing', detail: toCasemateError(error).message };
  } finally {
    await engines.oci.close?.();
  }
}

/** Engines beside the one that is needed: whether they could be used, and what they lack. */
async function otherEngines({ engines, engine, runtime }: ExamineParts): Promise<readonly HostCheck[]> {
  const names = engineNames.filter((name) => name !== engine);
  return Promise.all(
    names.map(async (name): Promise<HostCheck> => {
      const check = `engine ${name}`;
      try {
        const reports = await engines[name].examine(runtime);
        const tool = reports.find(({ missingTool }) => missingTool !== undefined);
        if (tool !== undefined) {
          return { check, verdict: 'absent', detail: tool.detail };
        }
        const lacks = reports.filter(({ available }) => !available).map(({ layer }) => layer);
        return { check, verdict: 'ok', detail: lacks.length === 0 ? 'lacks nothing' : `answers; lacks ${lacks.join(', ')}` };
      } catch (error) {
        return { check, verdict: 'absent', detail: toCasemateError(error).message };
      }
    }),
  );
}

/** The ways by which each is looked for. One that names nothing is no fault. */
async function enginePlaces({ engines }: ExamineParts): Promise<readonly HostCheck[]> {
  const rows = await Promise.all(
    engineNames.map(async (name) =>
      ((await engines[name].places?.()) ?? []).map(({ strategy, isUsed, available, detail }): HostCheck => {
        const check = `${name} by ${strategy}`;
        return { check, verdict: available ? 'ok' : 'absent', detail: isUsed ? `used: ${detail}` : detail };
      }),
    ),
  );
  return rows.flat();
}

async function checkProgram(program: Program, parts: ExamineParts): Promise<HostCheck> {
  const { env, patienceMs: timeoutMs = 30_000 } = parts;
  const verdict = program.needed(parts) ? 'missing' : 'absent';
  try {
    const { stdout, stderr } = await run(program.name, program.args, { env: baseEnvironment(env), timeoutMs });
    const [line = ''] = `${stdout.toString('utf8')}${stderr.toString('utf8')}`.trim().split('\n');
    return { check: program.name, verdict: 'ok', detail: line.startsWith('usage:') ? 'found' : line };
  } catch (error) {
    const isAway = isCasemateError(error) && error.code === 'TOOL_MISSING';
    const detail = isAway ? `not found; on Debian: apt-get install ${program.from}` : told(error);
    return { check: program.name, verdict, detail };
  }
}
