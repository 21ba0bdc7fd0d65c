import { lstat, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { none, same } from '../compare.ts';
import { eventually } from '../eventually.ts';
import { control, type Row } from '../finding.ts';
import type { Lab } from '../lab/lab.ts';
import { watchJournal } from '../oracle.ts';
import type { ProbeTable } from '../probe.ts';

/**
 * Git repositories that a sandbox makes in its workspace (G7): git there runs what their settings name, and no mount can protect
 * a name that does not exist yet. Whoever works in the tree is told, and it is recorded, however and whenever they were made; so
 * is what is left in the folder of one that was there, by which git of the host would write or run something elsewhere.
 */

/** By the folder that git would take for one; each made by a line of shell in the workspace. */
const kinds: Readonly<Record<string, string>> = {
  sub: 'mkdir -p sub/.git/objects sub/.git/refs; echo "ref: refs/heads/x" > sub/.git/HEAD; $set sub/.git/config',
  docs: 'mkdir -p docs/objects docs/refs; echo "ref: refs/heads/x" > docs/HEAD; $set docs/config',
  moved: 'mkdir -p moved; echo "ref: refs/heads/x" > moved/HEAD; echo ../sub/.git > moved/commondir',
  file: 'mkdir -p file; echo "gitdir: ../sub/.git" > file/.git',
  'node_modules/deep': 'mkdir -p node_modules/deep/.git; $set node_modules/deep/.git/config',
  '.cache/hidden': 'mkdir -p .cache/hidden/.git; $set .cache/hidden/.git/config',
  'a/b/c/d/e/f/g/h': 'mkdir -p a/b/c/d/e/f/g/h/.git/hooks; $set a/b/c/d/e/f/g/h/.git/config',
  upper: 'mkdir -p upper/.GIT; $set upper/.GIT/config',
};
const found = 'workspace.repository';

/** By the place in `.git` that git of the host would go by; each made by a line of shell beside it. */
const places: Readonly<Record<string, string>> = {
  'logs/HEAD': 'ln -sf /nowhere logs/HEAD',
  COMMIT_EDITMSG: 'mkfifo COMMIT_EDITMSG',
  MERGE_RR: `printf '${'a'.repeat(40)}\\t/nowhere\\0' > MERGE_RR`,
  'rebase-merge/git-rebase-todo': 'mkdir rebase-merge; echo "exec true" > rebase-merge/git-rebase-todo',
  // One entry, whose name is ../x
  index: String.raw`{ printf 'DIRC\0\0\0\2\0\0\0\1'; head -c 60 /dev/zero; printf '\0\4../x'; head -c 26 /dev/zero; } > index`,
};
const ordinary =
  'mkdir -p refs/heads logs; echo x > logs/HEAD; echo x > refs/heads/x; printf "" > MERGE_RR; ln -s /nowhere ../link';

export const repositoryProbes: ProbeTable = {
  'repositories.told': {
    where: 'lab',
    title:
      'make or change a git repository in the workspace without a word, or leave what leads git elsewhere: of every kind, and after the command has ended',
    proves: ['G7'],
    profile: 'full',
    source:
      'core.fsmonitor of nested repositories; a bare repository in an ordinary folder; CVE-2022-24765; git(1), SECURITY: a .git folder of somebody else',
    async run(lab) {
      if (lab.twin.target.plan?.workspace.mode === 'readonly') {
        return { notApplicable: 'workspaces are read-only: no repository can be made in one' };
      }
      return { rows: [...(await toldRows(lab)), ...(await leftRows(lab)), ...(await lateRows(lab)), ...(await racingRows(lab))] };
    },
  },
};

async function toldRows(lab: Lab): Promise<readonly Row[]> {
  const sandbox = await lab.make('repositories', { start: false });
  const old = join(sandbox.workspace, 'old/.git');
  await mkdir(old, { recursive: true });
  await writeFile(join(old, 'config'), '[core]\n');
  await lab.give(sandbox.workspace);
  await lab.casemate(['start', sandbox.name]);
  const plain = await sandbox.target.inside(['mkdir', 'plain']);
  const since = await watchJournal(lab);
  const { err } = await sandbox.target.inside(['sh', '-c', shell([...Object.values(kinds), 'settings old/.git/config'])]);
  const said = err.toString('utf8');
  const records = (await since()).filter(({ action }) => action === found);
  const subjects = records.map(({ subject }) => ` ${subject} `).join('');
  const line = said.split('\n').find((text) => text.includes('repositories in the workspace:')) ?? '';
  const more = Number(/ and (\d+) more/.exec(line)?.[1] ?? 0);
  const named = line === '' ? 0 : line.split(':').at(-1)?.split(',').length;
  const kept = await readFile(join(old, 'config'), 'utf8');
  await lab.casemate(['destroy', sandbox.name, '--confirm', sandbox.name]);
  return [
    same('settings of a repository that was there', '[core]\n', kept),
    none(
      'repositories that are not on record',
      Object.keys(kinds).filter((name) => !subjects.includes(` ${name} `)),
    ),
    same('repositories that the end of the command tells of, by name or number', Object.keys(kinds).length, (named ?? 0) + more),
    control('an ordinary folder', {
      expected: 'is not told of',
      seen: plain.err.includes('repositor') ? 'is told of' : 'is not told of',
      ok: !plain.err.includes('repositor'),
      from: 'outside',
    }),
  ];
}

/** In the workspace's own `.git`, in which an agent that commits has to write. */
async function leftRows(lab: Lab): Promise<readonly Row[]> {
  const { name, workspace, target } = await lab.make('left-in-git', { start: false });
  await mkdir(join(workspace, '.git'), { recursive: true });
  await writeFile(join(workspace, '.git/HEAD'), 'ref: refs/heads/main\n');
  await lab.give(workspace);
  await lab.casemate(['start', name]);
  const inGit = (lines: readonly string[]): readonly string[] => ['sh', '-c', ['cd /workspace/.git', ...lines].join('\n')];
  const plain = await target.inside(inGit([ordinary]));
  const since = await watchJournal(lab);
  const { err } = await target.inside(inGit(Object.values(places)));
  const wanted = await placesOutside(workspace);
  const subjects = (await since()).filter(({ action }) => action === found).map(({ subject }) => ` ${subject} `);
  await lab.casemate(['destroy', name, '--confirm', name]);
  return [
    none(
      'places in .git that are not on record',
      wanted.filter((place) => !subjects.join('').includes(` ${place} `)),
    ),
    none(
      'places in .git that the end of the command does not tell of',
      wanted.filter((place) => !err.toString('utf8').includes(place)),
    ),
    control('places in .git that are there outside', {
      expected: 'at least 4',
      seen: String(wanted.length),
      ok: wanted.length >= 4,
      from: 'outside',
    }),
    control('what git writes there itself', {
      expected: 'is not told of',
      seen: plain.err.includes('.git') ? 'is told of' : 'is not told of',
      ok: plain.code === 0 && !plain.err.includes('.git'),
      from: 'outside',
    }),
  ];
}

/** A pipe that is made under gVisor is in its own kernel alone, and nothing to git of the host. */
async function placesOutside(workspace: string): Promise<readonly string[]> {
  const all = Object.keys(places).map((place) => `.git/${place}`);
  const seen = await Promise.all(all.map((place) => lstat(join(workspace, place)).catch(() => undefined)));
  return all.filter((_, index) => seen[index] !== undefined);
}

/** `$set FILE` writes settings that name a program. */
const shell = (lines: readonly string[]): string =>
  [
    'settings() { printf "[core]\\n\\tfsmonitor = touch /tmp/x; false\\n" > "$1"; }',
    'cd /workspace',
    ...lines.map((line) => line.replaceAll('$set ', 'settings ')),
  ].join('\n');

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Made by what a command left running, when nobody waits for an end any more. */
async function lateRows(lab: Lab): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const end of ['stop', 'destroy'] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const sandbox = await lab.make(`late-${end}`);
    const { name, workspace } = sandbox;
    const late = 'sleep 0.5; mkdir -p /workspace/late/.git; echo "[core]" > /workspace/late/.git/config';
    // oxlint-disable-next-line no-await-in-loop -- as above
    await sandbox.target.inside(['sh', '-c', `setsid sh -c '${late}' > /dev/null 2>&1 < /dev/null &`]);
    // oxlint-disable-next-line no-await-in-loop -- as above
    const isMade = await eventually(async () => ((await exists(join(workspace, 'late/.git/config'))) ? true : undefined));
    // oxlint-disable-next-line no-await-in-loop -- as above
    const since = await watchJournal(lab);
    // oxlint-disable-next-line no-await-in-loop -- as above
    await lab.casemate(end === 'stop' ? ['stop', name] : ['destroy', name, '--confirm', name]);
    // oxlint-disable-next-line no-await-in-loop -- as above
    const told = (await since()).filter(({ action, subject }) => action === found && subject === 'late').length;
    rows.push(
      same(`records of a repository made after the last command, at ${end}`, 1, told),
      control(`a repository made after the last command, before ${end}`, {
        expected: 'is there',
        seen: isMade === true ? 'is there' : 'is not',
        ok: isMade === true,
        from: 'outside',
      }),
    );
    // oxlint-disable-next-line no-await-in-loop -- as above
    await (end === 'stop' ? lab.casemate(['destroy', name, '--confirm', name]) : undefined);
  }
  return rows;
}

/** One after the other, until the throw-away sandbox is gone: as many are on record as lie there. */
async function racingRows(lab: Lab): Promise<readonly Row[]> {
  const workspace = join(lab.folder, 'work-racing');
  await mkdir(workspace);
  await lab.give(workspace);
  const since = await watchJournal(lab);
  const loop =
    'i=0; while [ $i -lt 400 ]; do i=$((i+1)); mkdir -p /workspace/r$i/.git; echo > /workspace/r$i/.git/config; sleep 0.02; done';
  // It ends when some are there: on a busy machine each takes long.
  const some = 'n=0; while [ ! -e /workspace/r5/.git/config ] && [ $n -lt 200 ]; do n=$((n+1)); sleep 0.05; done';
  const command = `setsid sh -c '${loop}' > /dev/null 2>&1 < /dev/null & ${some}`;
  await lab.casemate(['run', '--name', 'racing', '--', 'sh', '-c', command], { cwd: workspace });
  await eventually(async () => {
    const { out } = await lab.casemate(['ls', '--json']);
    return out.includes('"racing"') ? undefined : true;
  }, 15_000);
  // The last one may have been ended between its two folders.
  const folders = (await readdir(workspace)).filter((name) => /^r\d+$/.test(name));
  const whole = await Promise.all(folders.map((name) => exists(join(workspace, name, '.git'))));
  const made = whole.filter(Boolean).length;
  const records = (await since()).filter(({ action }) => action === found);
  const told = records.reduce((sum, { detail }) => sum + Number(detail?.['repositories'] ?? 0), 0);
  return [
    same('repositories on record, of those made until a throw-away sandbox was gone', made, told),
    control('repositories made meanwhile', {
      expected: 'several',
      seen: String(made),
      ok: made > 3,
      from: 'outside',
    }),
  ];
}
