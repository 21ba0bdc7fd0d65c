import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { brokenPolicies, type BrokenPolicy } from '../attacks/broken-policies.ts';
import { none } from '../compare.ts';
import { control, type Row } from '../finding.ts';
import type { Lab } from '../lab/lab.ts';
import type { ProbeTable } from '../probe.ts';
import type { Inside } from '../target.ts';
import { refusedRow } from '../refused.ts';

/** A policy without a clear meaning (G16): nothing is made under it, and the fault is named. */

interface Written {
  readonly name: string;
  readonly file: string;
  /** further words of `create` */
  readonly args: readonly string[];
}

/** Each broken file in the place of a user's policy, and of a project's: nothing is made under it. */
async function breakPolicy(lab: Lab): Promise<readonly Row[]> {
  const own = join(lab.places.config, 'policy.yaml');
  const project = join(lab.folder, 'policy-of-project.yaml');
  const kept = await readFile(own);
  const ofProject: Written = { name: "a project's policy", file: project, args: ['--policy', project] };
  const rows: Row[] = [];
  const tryAll = async (place: Written, policies: readonly (readonly [string, BrokenPolicy])[]): Promise<void> => {
    for (const [what, policy] of policies) {
      // oxlint-disable-next-line no-await-in-loop -- one file, one fault at a time
      rows.push(await tryPolicy(lab, place, { what: `${place.name}: ${what}`, ...policy }));
    }
  };
  try {
    await tryAll({ name: "a user's policy", file: own, args: [] }, Object.entries(brokenPolicies));
  } finally {
    await writeFile(own, kept, { mode: 0o600 });
  }
  // They are read by the same reader; a few show that it is so.
  await tryAll(ofProject, Object.entries(brokenPolicies).slice(0, 6));
  const listed = (await lab.casemate(['ls', '--json'])).out.toString('utf8');
  await writeFile(project, 'version: 1\nlimits: { pids: 64 }\n');
  const good = await createUnder(lab, ofProject.args);
  await lab.casemate(['destroy', 'ruled', '--confirm', 'ruled']);
  await rm(project, { force: true });
  const seen = good.code === 0 ? '0' : `${good.code}: ${good.err.toString('utf8').slice(0, 160)}`;
  return [
    ...rows,
    none('sandboxes that were made all the same', listed.includes('"ruled"') ? ['ruled'] : []),
    control('make a sandbox under a policy that is whole', { expected: '0', seen, ok: good.code === 0, from: 'outside' }),
  ];
}

async function createUnder(lab: Lab, args: readonly string[]): Promise<Inside> {
  return await lab.casemate(['create', 'ruled', '--workspace', lab.twin.workspace, ...args]);
}

async function tryPolicy(
  lab: Lab,
  { file, args }: Written,
  { what, text, names }: BrokenPolicy & { readonly what: string },
): Promise<Row> {
  await writeFile(file, text, { mode: 0o600 });
  return refusedRow(what, await createUnder(lab, args), names);
}

export const brokenPolicyProbes: ProbeTable = {
  'faults.broken-policy': {
    where: 'lab',
    title: 'make a sandbox under a policy that is broken, unknown or half written',
    proves: ['G16'],
    profile: 'full',
    source: 'CVE-2025-66479: an empty list allowed everything',
    run: async (lab) => ({ rows: await breakPolicy(lab) }),
  },
};
