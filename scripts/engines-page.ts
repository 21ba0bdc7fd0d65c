/** The page of the engines, made from `docs/engines.json` alone: no verdict is written by hand. */
import { combine, type Verdict } from '../src/proof/finding.ts';
import { guaranteeIds, guarantees } from '../src/proof/guarantees.ts';
import { probes } from '../src/proof/probes.ts';
import type { EngineRun, EngineVerdicts } from './engines/verdicts.ts';
import { table } from './markdown.ts';

export function enginesPage({ casemate, machine, engines }: EngineVerdicts): string {
  const measured = engines.filter(({ missing }) => missing === undefined);
  const facts = `${machine['processors']} processors (${machine['processor']}), ${machine['memory']}, ${machine['architecture']}, Linux ${machine['kernel']}, ${machine['system']}`;
  return [
    `The same policy and the same probes (\`casemate prove\`) under each engine, Casemate ${casemate}, on ${facts}. \`npm run engines\` makes it anew, one engine at a time.`,
    table(
      ['engine', 'as it was run', 'runtime', 'waived by name', 'day'],
      engines.map(({ name, profile, options, version, waived, date, later, missing }) => [
        name,
        missing ?? `\`prove --profile ${profile} ${options.join(' ')}\`${again(later)}`,
        version.split(' (')[0] ?? '',
        waived.join(', ') || 'nothing',
        date,
      ]),
    ),
    '## Guarantees',
    table(
      ['', 'guarantee', ...measured.map(({ name }) => name)],
      guaranteeIds.map((id) => [id, guarantees[id].text, ...measured.map((one) => word(overallOf(one, id)))]),
    ),
    '**held**: every attack was refused, and the legal thing beside it worked. **broken**: one got through. *undecided*: it cannot be told. –: nothing of it was attacked in that profile.',
    '## Where they differ',
    'What an engine cannot give is data with its reason (`src/proof/declared-differences.ts`); whatever else differs breaks a guarantee.',
    ...measured.flatMap(differences),
    '## Probes',
    table(
      ['probe', 'tries to', ...measured.map(({ name }) => name)],
      [...new Set(measured.flatMap((one) => one.probes.map(({ probe }) => probe)))].map((id) => [
        `\`${id}\``,
        probes[id]?.title ?? '',
        ...measured.map((one) => word(one.probes.find(({ probe }) => probe === id)?.verdict)),
      ]),
    ),
  ].join('\n\n');
}

function again(later: readonly string[] = []): string {
  return later.length === 0 ? '' : `; later, by themselves: ${later.map((id) => `\`${id}\``).join(', ')}`;
}

function overallOf({ probes: runs }: EngineRun, id: (typeof guaranteeIds)[number]): Verdict | undefined {
  const own = runs.filter(({ probe }) => probes[probe]?.proves.includes(id));
  return own.length === 0 ? undefined : combine(own.map(({ verdict }) => verdict));
}

function word(verdict: Verdict | undefined): string {
  const words = { held: 'held', broken: '**broken**', inconclusive: '*undecided*', 'not-applicable': '–' } as const;
  return verdict === undefined ? '–' : words[verdict];
}

function differences({ name, probes: runs }: EngineRun): readonly string[] {
  const declared = runs.flatMap(({ probe, differs }) => differs.map((what) => `- ${what} (\`${probe}\`)`));
  const others = runs.flatMap(({ probe, verdict, why }) =>
    verdict === 'held' || why === undefined
      ? []
      : [`- \`${probe}\`, ${word(verdict) === '–' ? 'not applicable' : word(verdict)}: ${why}`],
  );
  const lines = [...declared, ...others];
  return lines.length === 0 ? [`**${name}**: nowhere.`] : [`**${name}**:`, lines.join('\n')];
}
