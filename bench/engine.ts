/** The engine's own step, without daemon, gateway and journal, against a bare runtime on the same root file system. */
import { mkdtemp, readFile, rm, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ociLab, testRootfs, type OciLab } from '../test/helpers/oci-lab.ts';
import { run } from '../src/system/process.ts';
import { hostEnv, timeInRounds, whyNot, type Contender } from './measure.ts';
import { bareBundle, withBareContainer } from './runc-bundle.ts';
import { blocked, type BenchResult } from './result.ts';

const rounds = 15;
const whole = 'engine/create, listen, start, true, remove';
const bare = 'engine/runc run true';
/** what the whole is held against: the same confinement, mounts, home and listeners aside */
const same = 'engine/runc run true, our bundle';

export async function benchEngine(): Promise<readonly BenchResult[]> {
  const rootfs = await testRootfs();
  if (rootfs === undefined) {
    return [blocked(whole, 'ms', 'there is no image "base"; run: casemate setup')];
  }
  const folder = await mkdtemp(join(tmpdir(), 'casemate-bench-engine-'));
  const lab = await ociLab('runc', { prepares: true });
  try {
    return [...(await benchStart(lab, folder, rootfs)), ...(await benchAttach(lab, folder, rootfs))];
  } finally {
    await lab.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

async function benchStart(lab: OciLab, folder: string, rootfs: string): Promise<readonly BenchResult[]> {
  const others = await startersHere(folder, rootfs, await sealedBundle(lab, folder));
  const stages = new Map<string, number[]>();
  const totals: number[] = [];
  const samples = new Map<string, readonly number[]>();
  await oneLife(lab, () => undefined);
  for (let round = 0; round < rounds; round += 1) {
    const started = performance.now();
    await oneLife(lab, (stage, ms) => stages.set(stage, [...(stages.get(stage) ?? []), ms]));
    totals.push(performance.now() - started);
    for (const [name, [sample = 0]] of await timeInRounds(others.able, 1)) {
      samples.set(name, [...(samples.get(name) ?? []), sample]);
    }
  }
  return [
    {
      name: whole,
      unit: 'ms',
      samples: totals,
      against: same,
      aim: '< 1.5',
      also: [{ against: bare, aim: '< 1.5' }],
      note: 'everything warm, four listeners',
    },
    ...[...stages].map(([stage, own]): BenchResult => ({ name: `engine/  of it ${stage}`, unit: 'ms', samples: own })),
    ...[...samples].map(([name, own]): BenchResult => ({
      name,
      unit: 'ms',
      samples: own,
      ...(name === bare ? {} : { against: bare }),
    })),
    ...others.unable,
  ];
}

/** One sandbox from nothing to nothing; tells what each stage took. */
async function oneLife(lab: OciLab, tell: (stage: string, ms: number) => void): Promise<void> {
  const { engine } = lab;
  const timed = async <T>(stage: string, step: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    const result = await step();
    tell(stage, performance.now() - started);
    return result;
  };
  const spec = await lab.spec();
  await timed('create', () => engine.create(spec));
  const ingress = await timed('listen', () => engine.ingress(spec.id, { tcp: [53, 80, 443], udp: [53] }));
  await timed('start', () => engine.start(spec.id));
  await timed('true', () => lab.inside(spec.id, ['true']));
  await ingress.close();
  await timed('stop and remove', async () => {
    await engine.stop(spec.id, { graceMs: 0 });
    await engine.remove(spec.id);
  });
}

/** Our own bundle, run directly: the same confinement without mapped mounts, home and listeners. */
async function sealedBundle(lab: OciLab, folder: string): Promise<string> {
  const spec = await lab.spec();
  await lab.engine.create(spec);
  const config = JSON.parse(await readFile(join(lab.folder, 'run/sandboxes', spec.id, 'bundle/config.json'), 'utf8'));
  await lab.engine.remove(spec.id);
  const bundle = join(folder, 'sealed');
  await mkdir(bundle);
  const process = { ...config.process, args: ['/usr/bin/true'] };
  const linux = { ...config.linux, ...(config.linux.cgroupsPath === undefined ? {} : { cgroupsPath: '/casemate/bench' }) };
  // A folder every id may pass through; the root file system is bound there for the runtime alone.
  await writeFile(
    join(bundle, 'config.json'),
    JSON.stringify({ ...config, process, linux, root: { ...config.root, path: '/mnt' } }),
  );
  return bundle;
}

async function startersHere(folder: string, rootfs: string, sealed: string) {
  const plain = await bareBundle(join(folder, 'plain'), { rootfs, command: ['true'] });
  const name = `casemate-bench-${process.pid}`;
  const bound = ['--mount', '--propagation', 'slave', 'sh', '-c', 'mount --bind "$1" /mnt && shift && exec "$@"', 'sh', rootfs];
  const wanted: readonly Contender[] = [
    { name: bare, file: 'runc', args: ['run', '--bundle', plain, name] },
    {
      name: same,
      file: 'unshare',
      args: [...bound, 'runc', 'run', '--bundle', sealed, `${name}-sealed`],
    },
    {
      name: 'engine/bwrap true',
      file: 'bwrap',
      args: ['--ro-bind', rootfs, '/', '--proc', '/proc', '--dev', '/dev', '--unshare-all', 'true'],
    },
  ];
  const answers = await Promise.all(wanted.map(async (contender) => ({ contender, why: await whyNot(contender) })));
  return {
    able: answers.flatMap(({ contender, why }) => (why === undefined ? [contender] : [])),
    unable: answers.flatMap(({ contender, why }) => (why === undefined ? [] : [blocked(contender.name, 'ms', why)])),
  };
}

async function benchAttach(lab: OciLab, folder: string, rootfs: string): Promise<readonly BenchResult[]> {
  const spec = await lab.started();
  try {
    return await withBareContainer(join(folder, 'exec'), rootfs, async (id) => {
      const ours: number[] = [];
      const theirs: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const started = performance.now();
        await lab.inside(spec.id, ['true']);
        const between = performance.now();
        await run('runc', ['exec', id, 'true'], { env: hostEnv });
        ours.push(between - started);
        theirs.push(performance.now() - between);
      }
      return [
        { name: 'engine/attach true', unit: 'ms', samples: ours, against: 'engine/runc exec true', aim: '< 1.5' },
        { name: 'engine/runc exec true', unit: 'ms', samples: theirs, note: 'a bare container without filter or user namespace' },
      ];
    });
  } catch (error) {
    return [blocked('engine/attach true', 'ms', error instanceof Error ? error.message : String(error))];
  }
}
