import type { ProbeTable } from '../probe.ts';
import { kernelRows } from '../outside/kernel-rows.ts';
import { configRows } from '../outside/running-config.ts';
import { runtimeRows } from '../outside/running-runtime.ts';

/** Whether what runs is what was planned (G2): by what the kernel says, by the specification it was made from, by who made it. */
export const specificationProbes: ProbeTable = {
  'specification.kernel-view': {
    where: 'sandbox',
    title: 'run with other namespaces, ids, mounts, groups or limits than were planned',
    proves: ['G2'],
    profile: 'quick',
    source: 'CIS Docker 5.10 to 5.16, 5.28 to 5.31; namespaces(7)',
    run: ({ target }) =>
      Promise.resolve(
        target.plan === undefined ? { notApplicable: 'its plan and its processes are not known here' } : { rows: [] },
      ),
    async outside({ plan, processes }, uid) {
      const [first] = await processes();
      return first === undefined || plan === undefined ? [] : await kernelRows(first, plan, uid);
    },
  },
  'specification.golden': {
    where: 'lab',
    title: 'run from a specification that its plan does not give',
    proves: ['G2'],
    profile: 'full',
    source: 'OCI runtime specification 1.0.2; CIS Docker 5.4, 5.5, 5.21',
    run: async (lab) => ({ rows: await configRows(lab, lab.twin) }),
  },
  'specification.runtime': {
    where: 'lab',
    title: 'be run by another runtime than was asked for',
    proves: ['G2'],
    profile: 'full',
    source: 'silent fall-back of runtime classes',
    run: async (lab) => ({ rows: await runtimeRows(lab, lab.twin) }),
  },
};
