import { attack, control, type Row } from '../finding.ts';
import { observe } from '../inside/observe.ts';
import type { Bench, ProbeTable } from '../probe.ts';
import type { Target } from '../target.ts';
import { text, textMap } from '../read-answer.ts';
import { isLimit, readOwnLimits } from '../watch/own-limits.ts';

/** Whether a sandbox has limits of its own: read from its cgroups on this host, and one of them tried as far as is harmless. */

/** More processes than this are not started for a proof. */
const mostTried = 1024;

export const aroundLimitProbes: ProbeTable = {
  'around.limits': {
    where: 'watched',
    title: 'start more processes and take more memory than it is given',
    proves: ['G22'],
    profile: 'full',
    source: 'CIS Docker 5.11, 5.29',
    asks: ['fork', 'resource_limits'],
    async run(bench) {
      const [first] = await bench.target.processes();
      if (first === undefined) {
        return {
          rows: [
            attack('limits of its own', { expected: 'some', seen: 'its processes cannot be seen from here', ok: undefined }),
          ],
        };
      }
      const { processes, memoryBytes } = await readOwnLimits(first);
      const isWaived = bench.target.plan?.waive.includes('memory-limit') === true;
      return {
        rows: [
          limitRow('limit of processes', bench.ownKernel ? countedInside(bench) : processes),
          ...(isWaived ? [] : [limitRow('limit of memory', memoryBytes)]),
          ...(bench.ownKernel ? [] : await tryProcesses(bench.target, processes)),
          forkRow(bench),
        ],
      };
    },
  },
};

/** A kernel of its own counts programs itself; what this host counts are its threads. */
function countedInside(bench: Bench): string | undefined {
  const { NPROC = '' } = textMap(bench.answer('resource_limits'));
  const [soft = ''] = NPROC.split(' ');
  return isLimit(soft) ? soft : undefined;
}

function limitRow(what: string, limit: string | undefined): Row {
  return attack(what, { expected: 'one of its own', seen: limit ?? 'none', ok: limit !== undefined, from: 'outside' });
}

async function tryProcesses({ inside }: Target, limit: string | undefined): Promise<readonly Row[]> {
  const most = Number.parseInt(limit ?? '', 10) + 16;
  if (!(most <= mostTried)) {
    return [];
  }
  const question = 'fork_up_to';
  const answers = await observe(inside, [question], { [question]: String(most) });
  const found = answers.get(question);
  if (found === undefined || 'missing' in found) {
    return [attack('start more processes', { expected: 'refused', seen: 'no answer', ok: undefined })];
  }
  const { count = '', why = '' } = textMap(found.answer);
  return [
    attack(`start ${most} processes`, { expected: 'EAGAIN before that', seen: `${why} after ${count}`, ok: why === 'EAGAIN' }),
  ];
}

function forkRow(bench: Bench): Row {
  const seen = text(bench.answer('fork'));
  return control('fork', { expected: 'DONE', seen, ok: seen === 'DONE' });
}
