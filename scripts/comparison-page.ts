/** The page of the comparison, made from `docs/comparison.json` alone: no verdict is written by hand. */
import type { Finding } from '../src/proof/finding.ts';
import { probes } from '../src/proof/probes.ts';
import { controlsOf, type Comparison, type Measured } from './compare/comparison.ts';
import { contenders } from './compare/contenders.ts';
import { table } from './markdown.ts';

export function comparisonPage(comparison: Comparison): string {
  const measured = comparison.contenders.filter(({ missing }) => missing === undefined);
  return [
    opening(comparison),
    '## Verdicts',
    verdicts(measured),
    legend,
    ...absent(comparison),
    '## What was compared',
    contenderTable(comparison),
    '## In fairness',
    fairnessOpening,
    fairnessTable(measured),
    ...measured.flatMap(notPromised),
    '## What got through',
    'The first row that got through, for each. All rows, also those that were refused, are in [comparison.json](comparison.json).',
    ...measured.flatMap(gotThrough),
    '## Run it again',
    again,
  ].join('\n\n');
}

function opening({ casemate, date, machine }: Comparison): string {
  const facts = `${machine['processors']} processors (${machine['processor']}), ${machine['memory']}, ${machine['architecture']}, Linux ${machine['kernel']}, ${machine['system']}`;
  return (
    `The same probes, put in one run to sandboxes of several makers, ours among them, through the same door: \`casemate prove --command\`, which knows nothing of what it attacks. ` +
    `Casemate ${casemate}, ${date}, on ${facts}. What got out is decided by this host: canaries in files and variables, a listener on every address, a process, a terminal, and the folder that is left. ` +
    'A probe counts as held only where the legal thing beside the attack worked in the same sandbox.'
  );
}

const legend =
  '**held**: refused, and the control beside it worked. **broken**: it got through. **broken°**: it got through, and the maker does not promise otherwise (below). ' +
  '*undecided*: it cannot be told, mostly because this kernel lacks what was asked for. –: not applicable on this machine.';

function verdicts(measured: readonly Measured[]): string {
  const ids = [...new Set(measured.flatMap(({ findings }) => findings.map(({ probe }) => probe)))];
  const rows = ids.map((id) => [`\`${id}\``, probes[id]?.title ?? '', ...measured.map((one) => cell(one, findingOf(one, id)))]);
  const controls = measured.map((one) => `${controlsOf(one).worked} of ${controlsOf(one).all}`);
  return table(['probe', 'tries to', ...measured.map(({ name }) => name)], [...rows, ['', 'controls that worked', ...controls]]);
}

function cell(one: Measured, finding: Finding | undefined): string {
  switch (finding?.verdict) {
    case 'held':
      return 'held';
    case 'broken':
      return promisesNot(one, finding.probe) === undefined ? '**broken**' : '**broken°**';
    case 'inconclusive':
      return '*undecided*';
    default:
      return '–';
  }
}

function findingOf({ findings }: Measured, id: string): Finding | undefined {
  return findings.find(({ probe }) => probe === id);
}

function promisesNot({ name }: Measured, id: string): string | undefined {
  const rows = Object.entries(contenders.find((one) => one.name === name)?.notPromised ?? {});
  return rows.find(([, ids]) => ids.includes(id))?.[0];
}

function absent({ contenders: all }: Comparison): readonly string[] {
  const rows = all.flatMap(({ name, missing }) => (missing === undefined ? [] : [`\`${name}\` (${missing})`]));
  return rows.length === 0 ? [] : [`Not measured on this machine: ${rows.join('; ')}.`];
}

function contenderTable({ contenders: all }: Comparison): string {
  const rows = all.map(({ name, version, user, command, missing }) => [
    name,
    missing === undefined ? version : `not measured: ${missing}`,
    user,
    `\`${command}\``,
    contenders.find((one) => one.name === name)?.about ?? '',
  ]);
  return table(['name', 'versions', 'started by', 'command', 'why so'], rows);
}

const fairnessOpening =
  'The probes are ours, so they ask what Casemate promises; nobody else has to keep that. A sandbox that is broken here may do exactly what its maker says. ' +
  'Nothing here says how good a sandbox is at what it is for, and options or other versions change the picture. Where a probe means less than its name:';

/** What a verdict on a sandbox of somebody else says, and what it does not. */
const fairness: Readonly<Record<string, string>> = {
  'kernel.privilege':
    'An empty set of capabilities, no new privileges, a filter, and no user id 0 inside. Capabilities within a user namespace of its own, or a bounding set that nobody can use, are no way out by themselves.',
  'kernel.socket-families': 'The measure is the list Casemate publishes. A family that this kernel lacks decides nothing.',
  'kernel.socket-protocols': 'As above. A raw or ping socket in a network of its own reaches nobody.',
  'kernel.crypto-socket': 'Decided by the answer of a filter: where the kernel has no such family, nobody can be told apart.',
  'kernel.dangerous-calls':
    'A call counts as reached where the kernel read its arguments. Most of these ask for a capability next; they are surface, not ways out.',
  'kernel.reachable-calls': 'More than Casemate publishes, that is all. See [surface.md](surface.md).',
  'kernel.telltales': 'The command line of the kernel, its modules and the like: knowledge, not access.',
  'files.read-only-root':
    'A layer or file system of its own that may be written harms nobody outside; a project of the sandbox that tampers with its own tools does.',
  'files.set-id': 'A bit that can be set matters where the file outlives the sandbox, which `around.left-behind` looks at.',
  'files.host-sockets':
    'A variable that leads to an agent of the host counts, even if its socket cannot be reached; whether it can is `around.sockets`.',
  'network.no-route': 'An answer at once that there is no route. One that is let out by design breaks it.',
  'around.canaries': 'By their paths on this host; a home that is mounted elsewhere is looked at by `around.home-secrets`.',
  'around.names': 'Needs a resolver that the proof can listen to; that of this machine is not touched.',
  'around.planted-names': 'One name of the list is enough.',
  'around.left-behind': 'Set-id bits, devices and owners, seen in the folder afterwards.',
};

function fairnessTable(measured: readonly Measured[]): string {
  const seen = new Set(measured.flatMap(({ findings }) => findings.map(({ probe }) => probe)));
  const rows = Object.entries(fairness).filter(([id]) => seen.has(id));
  return table(
    ['probe', 'what a verdict means'],
    rows.map(([id, text]) => [`\`${id}\``, text]),
  );
}

function notPromised({ name }: Measured): readonly string[] {
  const rows = Object.entries(contenders.find((one) => one.name === name)?.notPromised ?? {});
  return rows.length === 0
    ? []
    : [
        `### What ${name} does not promise`,
        rows.map(([why, ids]) => `- ${why} (${ids.map((id) => `\`${id}\``).join(', ')})`).join('\n'),
      ];
}

function gotThrough(one: Measured): readonly string[] {
  const broken = one.findings.filter(({ verdict }) => verdict === 'broken');
  const rows = broken.map(({ probe, why = '' }) => `- \`${probe}\`: ${shortened(why)}`);
  return [`### ${one.name}`, rows.length === 0 ? 'Nothing.' : rows.join('\n')];
}

/** As text: what a sandbox answered is no markup. */
function shortened(text: string): string {
  const short = text.length > 160 ? `${text.slice(0, 160)} …` : text;
  return short.replaceAll(/[\\`*_<>|[\]]/g, String.raw`\$&`);
}

const again =
  '```sh\nnpm run compare                           # all of them, some minutes; writes comparison.json and this page\n' +
  'npm run compare -- --only docker,srt      # some, into .cache/comparison.json\n' +
  "casemate prove --command 'docker run --rm -i IMAGE {}' --rows    # one of your own\n```\n\n" +
  'It needs root (it makes an ordinary user for what is started by one), Docker with a running daemon, podman, bubblewrap, socat, ripgrep and npm, and `casemate setup`. Containers are started from the root file system of the image `base`, imported, so no registry is asked; ' +
  'sandbox-runtime is installed by npm in the version that stands above. What is not there is named, and the exit code is 1. Attacks happen in the sandboxes alone; one with a route also tries addresses that nobody has.';
