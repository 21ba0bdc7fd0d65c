import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Plan } from '../../sandbox/plan/plan.ts';
import { none, same } from '../compare.ts';
import { control, type Row } from '../finding.ts';
import type { Lab } from '../lab/lab.ts';
import { secondHome, type SecondHome } from '../lab/second-home.ts';
import { inspected } from '../lab/told.ts';
import type { ProbeTable } from '../probe.ts';

/**
 * A policy that a sandbox writes into its own workspace (G15): it may narrow, and whatever it would grant waits for a person.
 */

const wished = 'wished.proof.test';
const granting = `version: 1\nnetwork:\n  - host: ${wished}\n`;
const more = `version: 1\nnetwork:\n  - host: ${wished}\n  - host: more.proof.test\n`;
const narrowing = 'version: 1\nlimits: { pids: 64 }\n';

/** Where policies of a project, of a user and of an organisation are looked for, as a sandbox might guess. */
const guesses = [
  '/workspace/casemate.yaml',
  '/workspace/casemate.yml',
  '/workspace/.casemate.yaml',
  '/workspace/.casemate/policy.yaml',
  '/workspace/.casemate/casemate.yaml',
  '/workspace/policy.yaml',
  '/home/agent/.config/casemate/policy.yaml',
  '/etc/casemate/policy.yaml',
];

const plant = String.raw`
  my ($text, @paths) = @ARGV;
  for my $path (@paths) {
    (my $folder = $path) =~ s{/[^/]+$}{};
    mkdir $folder;
    if (open(my $file, '>', $path)) { print $file $text }
  }`;

async function hostsOf({ casemate }: SecondHome, name: string): Promise<readonly string[]> {
  const { plan } = await inspected(casemate, name);
  return plan.network.rules.map(({ host }) => host.host);
}

async function pidsOf({ casemate }: SecondHome, name: string): Promise<number> {
  return (await inspected(casemate, name)).plan.limits.pids;
}

async function plantPolicy(lab: Lab, plan: Plan): Promise<readonly Row[]> {
  const home = await secondHome(lab, { name: 'planted', plan });
  const { casemate, workspace } = home;
  try {
    await casemate(['create', 'one', '--workspace', workspace]);
    await casemate(['start', 'one']);
    const planted = await casemate(['exec', 'one', '--no-tty', '--', 'perl', '-e', plant, granting, ...guesses]);
    const restarted = await casemate(['restart', 'one']);
    const afterRestart = await hostsOf(home, 'one');
    const silent = await casemate(['create', 'two', '--workspace', workspace], { input: 'y\nyes\n' });
    const trusted = await casemate(['create', 'three', '--workspace', workspace, '--trust']);
    const granted = trusted.code === 0 ? await hostsOf(home, 'three') : [];
    await casemate(['exec', 'one', '--no-tty', '--', 'perl', '-e', plant, more, ...guesses]);
    const changed = await casemate(['create', 'four', '--workspace', workspace], { input: 'y\n' });
    // What a person, or a sandbox, narrows needs nobody's consent: the file is read.
    await Promise.all(
      ['casemate.yml', '.casemate.yaml', 'policy.yaml'].map((name) => rm(join(workspace, name), { force: true })),
    );
    await writeFile(join(workspace, 'casemate.yaml'), narrowing);
    const narrowed = await casemate(['create', 'five', '--workspace', workspace]);
    return [
      same('a sandbox under a policy that it wrote itself', false, silent.code === 0),
      none(
        'hosts that a sandbox allows itself, after a restart',
        afterRestart.filter((host) => host === wished),
      ),
      same('a sandbox under a policy that was changed since a person trusted it', false, changed.code === 0),
      control('the sandbox writes the files', { expected: '0', seen: String(planted.code), ok: planted.code === 0 }),
      control('the sandbox runs on', { expected: '0', seen: String(restarted.code), ok: restarted.code === 0 }),
      control('the same, when a person trusts it', {
        expected: wished,
        seen: granted.join(', '),
        ok: granted.includes(wished),
        from: 'outside',
      }),
      control('a policy that narrows is read without a question', {
        expected: '64 processes',
        seen: narrowed.code === 0 ? `${await pidsOf(home, 'five')} processes` : narrowed.err.toString('utf8').slice(0, 160),
        ok: narrowed.code === 0 && (await pidsOf(home, 'five')) === 64,
        from: 'outside',
      }),
    ];
  } finally {
    await home.stop();
  }
}

export const plantedPolicyProbes: ProbeTable = {
  'widening.planted-policy': {
    where: 'lab',
    title: 'write a policy into the workspace that allows more, and have it hold',
    proves: ['G15'],
    profile: 'full',
    source: 'settings files of projects that run on the host; CVE-2025-59536 class',
    async run(lab) {
      const { plan } = lab.twin.target;
      return plan === undefined || plan.network.bound !== undefined
        ? { notApplicable: 'an organisation bounds what anybody may allow' }
        : { rows: await plantPolicy(lab, plan) };
    },
  },
};
