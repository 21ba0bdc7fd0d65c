import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { run } from '../../system/process.ts';
import { none } from '../compare.ts';
import { control, type Row } from '../finding.ts';
import type { CasemateOptions, Lab } from '../lab/lab.ts';
import { plantedFolders, plantProject } from '../lab/planted-project.ts';
import type { ProbeTable } from '../probe.ts';

/**
 * Whether Casemate executes anything on the host that a sandbox wrote (G6): every command is started in a project full of
 * programs, settings and modules that leave a mark when they run, with a PATH that finds them first.
 */

interface Step {
  readonly args: readonly string[];
  /** it is legal and has to work: what never ran has executed nothing */
  readonly works?: boolean;
}

const name = 'executed';

const steps: readonly Step[] = [
  { args: ['plan'], works: true },
  { args: ['policy', 'check'], works: true },
  { args: ['doctor'] },
  { args: ['create', name], works: true },
  { args: ['start', name], works: true },
  { args: ['exec', name, '--', 'true'], works: true },
  { args: ['inspect', name], works: true },
  { args: ['stats', name], works: true },
  { args: ['logs', name], works: true },
  { args: ['policy', 'propose', '--from-journal', name] },
  { args: ['journal', 'verify'], works: true },
  { args: ['image', 'ls'], works: true },
  { args: ['image', 'show', 'base'] },
  { args: ['image', 'build', './planted-recipe.yaml'] },
  { args: ['credentials', 'ls'] },
  { args: ['restart', name], works: true },
  { args: ['stop', name], works: true },
  { args: ['destroy', name, '--confirm', name], works: true },
  { args: ['learn', '--', 'true'] },
  { args: ['run', '--', 'true'], works: true },
];

export const executedProbes: ProbeTable = {
  'executed.nothing': {
    where: 'lab',
    title: 'have something of the project run on the host by any command: by PATH, by settings of git and npm, as a module',
    proves: ['G6'],
    profile: 'full',
    source: 'CWE-426, CWE-427; CVE-2024-32002 and core.fsmonitor class of git settings; project files that name commands',
    async run(lab) {
      const folder = join(lab.folder, 'work-executed');
      await mkdir(folder);
      await plantProject(folder, lab.canaries.mark);
      await lab.give(folder);
      const rows: Row[] = [];
      for (const step of steps) {
        // oxlint-disable-next-line no-await-in-loop -- whoever runs something has to be known
        rows.push(...(await attempt(lab, folder, step, '')));
      }
      rows.push(...(await policyRows(lab, folder)), ...(await daemonRows(lab, folder)), await purposeRow(lab, folder));
      return { rows };
    },
  },
};

/** As a shell is that was told to, and one in an activated environment. */
function hostile(lab: Lab, folder: string): Pick<CasemateOptions, 'cwd' | 'env'> {
  const first = plantedFolders.flatMap((place) => [place === '' ? '.' : place, join(folder, place)]);
  return { cwd: folder, env: { PATH: ['', ...first, lab.env['PATH'] ?? ''].join(':'), PWD: folder } };
}

async function attempt(lab: Lab, folder: string, { args, works = false }: Step, when: string): Promise<readonly Row[]> {
  const { code, err } = await lab.casemate(args, hostile(lab, folder));
  const what = `casemate ${args.join(' ')}${when}`;
  return [
    none(`executed by ${what}`, await marks(lab)),
    ...(works
      ? [
          control(what, {
            expected: 'works',
            seen: code === 0 ? 'works' : `exit code ${code}: ${err.toString('utf8').slice(0, 120)}`,
            ok: code === 0,
            from: 'outside' as const,
          }),
        ]
      : []),
  ];
}

/** What was run, by itself; taken away, so that the next command is not blamed for it. */
async function marks({ canaries }: Lab): Promise<readonly string[]> {
  const text = await readFile(canaries.mark, 'utf8').catch(() => '');
  await rm(canaries.mark, { force: true });
  return [...new Set(text.split('\n').filter((line) => line !== ''))];
}

/** A policy of the project that names commands: refused, or asked about, and never run. */
async function policyRows(lab: Lab, folder: string): Promise<readonly Row[]> {
  const program = join(folder, 'bin/git');
  const policies = {
    'a command that gives a key': `version: 1\ncredentials: { planted: { provider: bearer, source: { command: ['${program}'] } } }\n`,
    'a recipe of its own': `version: 1\nimage: ${folder}/planted-recipe.yaml\n`,
    'variables of the host': `version: 1\nenv: { NODE_OPTIONS: '--require=${folder}/index.js', LD_PRELOAD: '${program}' }\n`,
  };
  const rows: Row[] = [];
  for (const [what, text] of Object.entries(policies)) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other in the same place
    await writeFile(join(folder, 'casemate.yaml'), text);
    // oxlint-disable-next-line no-await-in-loop -- as above
    rows.push(...(await attempt(lab, folder, { args: ['run', '--', 'true'] }, `, whose policy has ${what}`)));
  }
  await rm(join(folder, 'casemate.yaml'));
  return rows;
}

/** A daemon that is started by a command in the project, and not by the lab. */
async function daemonRows(lab: Lab, folder: string): Promise<readonly Row[]> {
  await lab.daemon.stop();
  const beside = join(lab.folder, 'work-beside-executed');
  await mkdir(beside, { recursive: true });
  await lab.give(beside);
  const rows = [...(await attempt(lab, folder, { args: ['ls'], works: true }, ', which starts the daemon'))];
  rows.push(
    ...(await attempt(lab, folder, { args: ['run', '--', 'true'], works: true }, ', with a daemon that was started there')),
  );
  rows.push(
    ...(await attempt(lab, folder, { args: ['run', '--workspace', beside, '--', 'true'], works: true }, ', with that daemon')),
  );
  await lab.daemon.stop();
  await lab.daemon.start();
  await lab.casemate(['start', lab.twin.name]);
  return rows;
}

/** On purpose, each kind leaves its mark. */
async function purposeRow(lab: Lab, folder: string): Promise<Row> {
  const options = { cwd: folder, env: { PATH: '/usr/bin:/bin', HOME: folder }, timeoutMs: 10_000 };
  await run(join(folder, 'bin/runc'), [], options).catch(() => undefined);
  await run('sh', ['-c', 'PATH=.; runsc'], options).catch(() => undefined);
  await run('perl', ['-I.', '-e', 'use Socket;'], options).catch(() => undefined);
  // Also where the project is somebody else's.
  await run('git', ['-c', 'safe.directory=*', 'status'], options).catch(() => undefined);
  const found = await marks(lab);
  const hasGit = (await run('git', ['--version'], options).catch(() => undefined)) !== undefined;
  return control('a program, one found by PATH, a module and settings of git, run on purpose', {
    expected: 'a mark of each',
    seen: `${found.length} marks`,
    ok: found.length >= 4 || (!hasGit && found.length === 3),
    from: 'outside',
  });
}
