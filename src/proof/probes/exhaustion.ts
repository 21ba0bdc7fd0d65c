import { withDeclared } from '../declared-differences.ts';
import { besiege, type Attack, type AttackTable } from '../exhaustion/attack.ts';
import { floodAttacks } from '../exhaustion/floods.ts';
import { outputAttacks } from '../exhaustion/output.ts';
import { takeAttacks } from '../exhaustion/takes.ts';
import { isSlowed } from '../exhaustion/watched.ts';
import type { Probe, ProbeTable } from '../probe.ts';

/** What one sandbox takes is bounded (G22), and the others and the gateway keep working meanwhile (G20). */

function probeOf(attack: Attack): Probe {
  const { title, source, layers, lacks } = attack;
  return {
    where: 'lab',
    title,
    proves: ['G22', 'G20'],
    profile: 'full',
    source,
    layers,
    async run(lab) {
      const { plan } = lab.twin.target;
      const lacking = plan === undefined ? undefined : lacks?.(plan);
      if (lacking !== undefined) {
        return { notApplicable: lacking };
      }
      const first = await besiege(lab, attack);
      const seen = isSlowed(first.watched) ? await besiege(lab, attack, first.watched) : first;
      return plan === undefined ? seen : { rows: withDeclared(seen.rows, plan) };
    },
  };
}

function probesOf(group: string, attacks: AttackTable): ProbeTable {
  return Object.fromEntries(Object.entries(attacks).map(([id, attack]) => [`${group}.${id}`, probeOf(attack)]));
}

export const exhaustionProbes: ProbeTable = probesOf('exhaustion', { ...takeAttacks, ...outputAttacks, ...floodAttacks });
