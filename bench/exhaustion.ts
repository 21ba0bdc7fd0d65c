/**
 * What another sandbox notices of each attack on what they share: its requests under attack, divided by the median of those
 * before it. What is measured is what `casemate prove` judges, and besides it what nobody bounds.
 */
import { startLab } from '../src/proof/lab/start-lab.ts';
import type { Lab } from '../src/proof/lab/lab.ts';
import { besiege, type Attack } from '../src/proof/exhaustion/attack.ts';
import { floodAttacks, measuredFloods } from '../src/proof/exhaustion/floods.ts';
import { measuredAttacks, takeAttacks } from '../src/proof/exhaustion/takes.ts';
import { quantile } from '../src/proof/exhaustion/watched.ts';
import { daemonFlags } from '../src/cli/session/start-daemon.ts';
import type { Plan } from '../src/sandbox/plan/plan.ts';
import { attempt, hostEnv } from './measure.ts';
import { blocked, median, type BenchResult } from './result.ts';
import { program, withSite, type Site } from './site.ts';

export async function benchExhaustion(): Promise<readonly BenchResult[]> {
  return await withSite(async (site) => {
    const plan = await planOf(site);
    if (typeof plan === 'string') {
      return [blocked('exhaustion/another sandbox', 'x', plan)];
    }
    const { HOME: _home, ...env } = hostEnv;
    const { images } = site;
    const lab = await startLab({ plan, program: [process.execPath, program], daemonFlags, env, images });
    try {
      return await measureAll(lab, plan);
    } finally {
      await lab.remove();
    }
  });
}

/** Or why there is none. */
async function planOf({ env, project, waive }: Site): Promise<Plan | string> {
  const shown = await attempt(process.execPath, [program, 'plan', '--json', ...waive], { env, cwd: project });
  if (shown?.exitCode !== 0) {
    return shown?.stderr.toString('utf8').trim().split('\n')[0] ?? 'there is no plan';
  }
  const { plan }: { plan: Plan } = JSON.parse(shown.stdout.toString('utf8'));
  return plan;
}

async function measureAll(lab: Lab, plan: Plan): Promise<readonly BenchResult[]> {
  const results: BenchResult[] = [];
  for (const [id, attack] of Object.entries({ ...takeAttacks, ...measuredAttacks, ...floodAttacks, ...measuredFloods })) {
    const lacking = attack.lacks?.(plan);
    results.push(lacking === undefined ? await measureOne(lab, id, attack) : blocked(`exhaustion/${id}`, 'x', lacking));
  }
  return results;
}

async function measureOne(lab: Lab, id: string, attack: Attack): Promise<BenchResult> {
  const { watched } = await besiege(lab, attack);
  const { quietMs, peerMs, faults, daemon } = watched;
  const quiet = median(quietMs) ?? Number.NaN;
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  return {
    name: `exhaustion/${id}`,
    unit: 'x',
    samples: peerMs.map((value) => value / quiet),
    note:
      `p99 ${(quantile(peerMs, 0.99) / quiet).toFixed(1)} x; ${ms(median(peerMs) ?? Number.NaN)} under attack, ${ms(quiet)} before; ` +
      `${faults.length} failed; gateway +${Math.round(daemon.grownBytes / 1024 / 1024)} MiB`,
  };
}
