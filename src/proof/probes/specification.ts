import { withDeclared } from '../declared-differences.ts';
import { visibleOf } from '../host-view.ts';
import type { Lab } from '../lab/lab.ts';
import type { ProbeTable } from '../probe.ts';
import { gvisorRows } from '../outside/gvisor-rows.ts';
import { commandLimitRows, kernelRows } from '../outside/kernel-rows.ts';
import { textMap } from '../read-answer.ts';
import { configRows } from '../outside/running-config.ts';
import { dockerConfigRows, dockerRuntimeRows } from '../outside/running-docker.ts';
import { podmanConfigRows, podmanRuntimeRows } from '../outside/running-podman.ts';
import { runtimeRows } from '../outside/running-runtime.ts';

/**
 * Whether what runs is what was planned (G2), according to the kernel, the specification it was made from, and the program that
 * made it.
 */
const byEngine = {
  oci: { config: configRows, runtime: runtimeRows },
  docker: { config: dockerConfigRows, runtime: dockerRuntimeRows },
  podman: { config: podmanConfigRows, runtime: podmanRuntimeRows },
} as const;

const rowsOf = ({ twin }: Lab) => byEngine[twin.target.plan?.engine ?? 'oci'];

export const specificationProbes: ProbeTable = {
  'specification.kernel-view': {
    where: 'sandbox',
    title: 'run with other namespaces, ids, mounts, groups or limits than were planned',
    proves: ['G2'],
    profile: 'quick',
    source: 'CIS Docker 5.10 to 5.16, 5.28 to 5.31; namespaces(7)',
    asks: ['resource_limits'],
    run: ({ target: { plan }, answer }) =>
      Promise.resolve(
        plan === undefined
          ? { notApplicable: 'its plan and its processes are not known here' }
          : { rows: withDeclared(commandLimitRows(textMap(answer('resource_limits')), plan), plan) },
      ),
    async outside(target, uid) {
      const { plan, processes } = target;
      const pids = await processes();
      const [first] = pids;
      if (first === undefined || plan === undefined) {
        return [];
      }
      const rows =
        plan.runtime === 'runsc'
          ? gvisorRows(target, { first, plan, uid })
          : kernelRows({ first, visible: await visibleOf(pids), plan, uid });
      return withDeclared(await rows, plan);
    },
  },
  'specification.golden': {
    where: 'lab',
    title: 'run from a specification that its plan does not give',
    proves: ['G2'],
    profile: 'full',
    source: 'OCI runtime specification 1.0.2; CIS Docker 5.4, 5.5, 5.21',
    run: async (lab) => ({ rows: await rowsOf(lab).config(lab, lab.twin) }),
  },
  'specification.runtime': {
    where: 'lab',
    title: 'be run by another runtime than was asked for',
    proves: ['G2'],
    profile: 'full',
    source: 'silent fall-back of runtime classes',
    run: async (lab) => ({ rows: await rowsOf(lab).runtime(lab, lab.twin) }),
  },
};
