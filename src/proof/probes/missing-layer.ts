import type { LayerName } from '../../base/layers.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import { none } from '../compare.ts';
import { attack, control, type Row } from '../finding.ts';
import { hiddenLayers, hideable, hideableGroups, withoutGroups } from '../lab/hidden-layers.ts';
import type { Lab } from '../lab/lab.ts';
import { hidingLies, lyingEngine } from '../lab/lying-engine.ts';
import { secondHome, type SecondHome } from '../lab/second-home.ts';
import { processesOf } from '../lab/told.ts';
import type { ProbeTable } from '../probe.ts';
import type { Inside } from '../target.ts';
import { readOwnLimits } from '../watch/own-limits.ts';

/** A host that lacks a layer of protection (G16): nothing starts there, and the layer is named. */

async function hideLayers(lab: Lab, plan: Plan, uid: number): Promise<readonly Row[]> {
  const hidden = await hiddenLayers({ folder: lab.folder, env: lab.env, runtime: plan.runtime, uid });
  const home = await secondHome(lab, { name: 'bare', plan, path: hidden.path });
  const { casemate, workspace } = home;
  const layers = hideable(plan, uid);
  const rows: Row[] = [];
  try {
    // What was found once is not looked for again.
    await hidden.hide(layers[0]);
    await casemate(['create', 'bare', '--workspace', workspace]);
    for (const layer of layers) {
      // oxlint-disable-next-line no-await-in-loop -- one fault at a time
      await hidden.hide(layer);
      // oxlint-disable-next-line no-await-in-loop -- as above
      rows.push(layerRow(layer, await casemate(['start', 'bare']), layers));
    }
    await hidden.hide(undefined);
    rows.push(...(await hideGroups(home, hideableGroups(plan, uid))));
    const left = await processesOf(casemate, 'bare');
    return [...rows, none(leftOver, left), await wholeRow(casemate)];
  } finally {
    await home.stop();
  }
}

const leftOver = 'processes that were started without a layer';

async function wholeRow(casemate: SecondHome['casemate'], env = {}): Promise<Row> {
  const { code, err } = await casemate(['start', 'bare'], { env });
  await casemate(['destroy', 'bare', '--confirm', 'bare'], { env });
  const seen = code === 0 ? '0' : `${code}: ${err.toString('utf8').slice(0, 160)}`;
  return control('start where every layer is there', { expected: '0', seen, ok: code === 0, from: 'outside' });
}

/** An engine that says that it lacks a layer; each daemon asks once. */
async function hideFromEngine(lab: Lab, plan: Plan): Promise<readonly Row[]> {
  const engine = await lyingEngine(lab);
  const { casemate, workspace, stop } = await secondHome(lab, { name: 'bare', plan });
  // In a user namespace of its own processes are bounded without the engine.
  const isBounded = plan.engine === 'podman' && process.geteuid?.() !== 0;
  const layers = Object.entries(hidingLies).filter(
    ([name]) => !plan.waive.some((waived) => waived === name) && !(isBounded && name === 'pids-limit'),
  );
  const rows: Row[] = [];
  try {
    await casemate(['create', 'bare', '--workspace', workspace], { env: engine.env });
    for (const [name, lie] of layers) {
      engine.say(lie);
      // oxlint-disable-next-line no-await-in-loop -- one fault at a time
      await stop();
      // oxlint-disable-next-line no-await-in-loop -- as above
      const { code, err } = await casemate(['start', 'bare'], { env: engine.env });
      const all = layers.map(([layer]) => layer);
      rows.push(namedRow(`start where the layer ${name} is missing`, { code, said: err.toString('utf8'), wanted: [name], all }));
    }
    const left = await processesOf(casemate, 'bare');
    engine.say(undefined);
    await stop();
    return [...rows, none(leftOver, left), await wholeRow(casemate, engine.env)];
  } finally {
    await stop();
    await engine.close();
  }
}

/** A daemon for which this host has no cgroups; the next one has them again. */
async function hideGroups({ casemate, stop }: SecondHome, layers: readonly LayerName[]): Promise<readonly Row[]> {
  if (layers.length === 0) {
    return [];
  }
  await stop();
  const { code, err } = await casemate(['start', 'bare'], { through: withoutGroups });
  await stop();
  return [namedRow('start where no cgroup can be made', { code, said: err.toString('utf8'), wanted: layers, all: layers })];
}

/** What this host lacks in truth, as its kernel says of a sandbox that runs by a person's waiver: without it none starts. */
async function withoutWaiver(lab: Lab, plan: Plan): Promise<readonly Row[]> {
  const [first = 0] = await lab.twin.target.processes();
  const { memoryBytes, cpu } = await readOwnLimits(first);
  const limits = { 'memory-limit': memoryBytes, 'cpu-limit': cpu } as const;
  const lacking = (['memory-limit', 'cpu-limit'] as const).filter(
    (name) => plan.waive.includes(name) && limits[name] === undefined,
  );
  if (lacking.length === 0) {
    return [];
  }
  const { casemate, workspace, stop } = await secondHome(lab, { name: 'strict', plan, waive: [] });
  try {
    await casemate(['create', 'strict', '--workspace', workspace]);
    const { code, err } = await casemate(['start', 'strict']);
    const what = 'start on this host without the waivers';
    return [namedRow(what, { code, said: err.toString('utf8'), wanted: lacking, all: lacking })];
  } finally {
    await stop();
  }
}

interface Refusal {
  readonly code: number;
  readonly said: string;
  readonly wanted: readonly string[];
  /** that may be named */
  readonly all: readonly string[];
}

function namedRow(what: string, { code, said, wanted, all }: Refusal): Row {
  const named = all.filter((name) => said.includes(`${name}:`));
  return attack(what, {
    expected: `refused: ${wanted.join(', ')}`,
    seen: code === 0 ? 'started' : `refused: ${named.length === 0 ? said.trim().slice(0, 160) : named.join(', ')}`,
    ok: code !== 0 && named.join() === wanted.join(),
    from: 'outside',
  });
}

function layerRow(layer: LayerName, { code, err }: Inside, layers: readonly LayerName[]): Row {
  const what = `start where the layer ${layer} is missing`;
  return namedRow(what, { code, said: err.toString('utf8'), wanted: [layer], all: layers });
}

export const missingLayerProbes: ProbeTable = {
  'faults.missing-layer': {
    where: 'lab',
    title: 'start on a host that lacks a layer of protection, each in turn',
    proves: ['G16'],
    profile: 'full',
    source: 'CWE-636; Landlock best_effort, nono GHSA-72w7-mf9g-733p',
    async run(lab, { uid }) {
      const { plan } = lab.twin.target;
      return plan === undefined || !lab.hasRegistry
        ? { notApplicable: 'nothing in a temporary folder can be run here, so no layer can be hidden' }
        : {
            rows: [
              ...(await (plan.engine === 'oci' ? hideLayers(lab, plan, uid) : hideFromEngine(lab, plan))),
              ...(await withoutWaiver(lab, plan)),
            ],
          };
    },
  },
};
