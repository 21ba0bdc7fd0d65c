import { secretIn } from '../../agents/secret-patterns.ts';
import { hasPhantom, isPhantom } from '../../credentials/phantom.ts';
import { none } from '../compare.ts';
import { control, type Row } from '../finding.ts';
import { readProcess } from '../host-view.ts';
import type { Bench, ProbeTable } from '../probe.ts';
import { textMap } from '../read-answer.ts';

/** What the environment inside holds, where programs look for their keys (G13): phantoms, and no key. */

type Variables = Readonly<Record<string, string>>;

/** Names alone: a value has no business in a report. */
function keysIn(variables: Variables): readonly string[] {
  return Object.entries(variables).flatMap(([name, value]) => {
    const form = hasPhantom(value) ? undefined : secretIn(`${name}=${value}`);
    return form === undefined ? [] : [`${name} (${form})`];
  });
}

/** Of a process, as the host's kernel has it; a process that ended has none. */
async function environmentOf(pid: number): Promise<Variables> {
  const lines = (await readProcess(pid, 'environ')).split('\0').filter((line) => line.includes('='));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

async function lookAt({ target, answer }: Bench): Promise<readonly Row[]> {
  const inside = textMap(answer('environment'));
  const outside = await Promise.all((await target.processes()).map(environmentOf));
  const wanted = (target.plan?.credentials ?? []).flatMap(({ variables }) => variables.map(({ name }) => name));
  const strange = wanted.filter((name) => !isPhantom(inside[name] ?? ''));
  return [
    none('variables that hold a key, as a command has them', keysIn(inside), 'inside'),
    none('variables that hold a key, as this host sees its processes', [...new Set(outside.flatMap(keysIn))]),
    none('variables of credentials that hold something else than a phantom', strange, 'inside'),
    control('the environment can be read', {
      expected: target.name,
      seen: inside['CASEMATE_SANDBOX'] ?? 'nothing',
      ok: inside['CASEMATE_SANDBOX'] === target.name,
    }),
  ];
}

export const keyEnvironmentProbes: ProbeTable = {
  'keys.environment': {
    where: 'sandbox',
    title: 'find a key in the environment inside, where programs look for theirs',
    proves: ['G13'],
    profile: 'quick',
    source: 'CWE-526; SandboxEscapeBench',
    asks: ['environment'],
    run: async (bench) => ({ rows: await lookAt(bench) }),
  },
};
