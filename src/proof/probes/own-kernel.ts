import { randomBytes } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { spawnProcess } from '../../system/process.ts';
import { attack, control, type Row } from '../finding.ts';
import { hostProcesses, isGvisorAlone, type HostProcess } from '../outside/gvisor-processes.ts';
import type { ProbeTable } from '../probe.ts';
import type { Target } from '../target.ts';

/**
 * Whether programs run on a kernel of their own if one was requested (G2). Judged by what this host does not see: a sandbox's
 * program is a process of whichever kernel runs it, and its arguments can be read there.
 */
export const ownKernelProbes: ProbeTable = {
  'kernel.own-kernel': {
    where: 'sandbox',
    title: 'be a process of this host where a kernel of its own was asked for',
    proves: ['G2', 'G1'],
    profile: 'quick',
    source: 'silent fall-back of runtime classes; gVisor security model',
    async run({ target }) {
      if (target.plan !== undefined && target.plan.runtime !== 'runsc') {
        return { notApplicable: `${target.plan.runtime} runs programs on the kernel of this host` };
      }
      const [told, hidden] = [await versionRow(target), await hiddenRows(target)];
      return { rows: [told, ...hidden] };
    },
    async outside(target) {
      return target.plan?.runtime === 'runsc' ? [processesRow(await hostProcesses(target))] : [];
    },
  },
};

function processesRow(seen: readonly HostProcess[]): Row {
  const strangers = seen.filter(({ role }) => role === 'stranger').map(({ program }) => program);
  const roles = [...new Set(seen.map(({ role }) => role))].toSorted();
  return attack('processes of this host that make up the sandbox', {
    expected: "gVisor's kernel, its file server, and a keeper",
    seen: strangers.length > 0 ? `also ${[...new Set(strangers)].join(', ')}` : roles.join(', ') || 'none',
    ok: isGvisorAlone(seen),
    from: 'outside',
  });
}

/** Beside the others: the kernel inside names itself, and this host's says what it is. */
async function versionRow(target: Target): Promise<Row> {
  const [{ out }, host] = await Promise.all([target.inside(['cat', '/proc/version']), readFile('/proc/version', 'utf8')]);
  const said = out.toString('utf8');
  return attack('/proc/version inside', {
    expected: 'another than on this host',
    seen: said === host ? 'that of this host' : said === '' ? 'nothing' : 'another than on this host',
    ok: said === '' ? undefined : said !== host,
  });
}

const lifeMs = 400;
const program = 'select undef, undef, undef, $ARGV[1] / 1000; print "ran $ARGV[0]"';

/** A program with a mark among its arguments runs inside while this host looks for the mark among its own processes. */
async function hiddenRows(target: Target): Promise<readonly Row[]> {
  const [inside, outside] = [mark(), mark()];
  const command = ['perl', '-e', program];
  const known = spawnProcess('perl', ['-e', program, outside, '60000'], { env: {}, stdio: 'ignore' });
  const running = target.inside([...command, inside, String(lifeMs)]);
  const found = new Set<string>();
  const look = async (): Promise<void> => (await marksOf([inside, outside])).forEach((one) => found.add(one));
  try {
    await whileRunning(running, look);
  } finally {
    known.kill('SIGKILL');
  }
  const { out } = await running;
  const [ran, isSeen, isKnown] = [out.toString('utf8') === `ran ${inside}`, found.has(inside), found.has(outside)];
  return [
    attack('a program inside, looked for among the processes of this host', {
      expected: 'not among them',
      seen: isSeen ? 'a process of this host' : 'not among them',
      ok: !isSeen,
      from: 'outside',
    }),
    control('it ran meanwhile', { expected: 'it did', seen: ran ? 'it did' : 'it did not', ok: ran }),
    control('a program of this host, looked for in the same way', {
      expected: 'found',
      seen: isKnown ? 'found' : 'not found',
      ok: isKnown,
      from: 'outside',
    }),
  ];
}

/** Looks again and again until it has ended, however it does. */
async function whileRunning(running: Promise<unknown>, look: () => Promise<void>): Promise<void> {
  const ended = running.then(
    () => true,
    () => true,
  );
  do {
    // oxlint-disable-next-line no-await-in-loop -- as long as it runs
    await look();
    // oxlint-disable-next-line no-await-in-loop -- as above
  } while (!(await Promise.race([ended, sleep(lifeMs / 8, false)])));
}

function mark(): string {
  return `casemate-mark-${randomBytes(8).toString('hex')}`;
}

/** Programs alone, not what calls the runtime: that has a mark, if at all, in the arguments it hands on. */
async function marksOf(marks: readonly string[]): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const words = (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).split('\0');
      return words[0] === 'perl' && words[2] === program ? marks.filter((one) => words.includes(one)) : [];
    }),
  );
  return found.flat();
}
