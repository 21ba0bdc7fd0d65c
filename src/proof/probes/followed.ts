import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { isCasemateError } from '../../base/errors.ts';
import { run } from '../../system/process.ts';
import { actByThemselves } from '../autorun-names.ts';
import { none, same } from '../compare.ts';
import { control, type Row } from '../finding.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { changes, fingerprint } from '../outside/tree.ts';
import type { ProbeTable } from '../probe.ts';

/**
 * Whether the host follows a path that a sandbox controls (G8): links, pipes and sockets in place of what commands read and
 * write, and a workspace that another sandbox swaps for a link to the host.
 */

export const followedProbes: ProbeTable = {
  'followed.read': {
    where: 'lab',
    title: 'have a command of the host read through a link, or wait for ever at a pipe, in the place of a file of the project',
    proves: ['G8'],
    profile: 'full',
    source: 'CWE-59, CWE-367; CVE-2024-23651 class; a FIFO where a regular file is expected',
    async run(lab) {
      const rows: Row[] = [];
      for (const kind of ['link', 'pipe', 'socket', 'link to a device'] as const) {
        // oxlint-disable-next-line no-await-in-loop -- one project after the other
        rows.push(...(await readRows(lab, kind)));
      }
      return { rows: [...rows, ...(await policyRows(lab))] };
    },
  },
  'followed.written': {
    where: 'lab',
    title: 'have a command of the host write through a link in the project',
    proves: ['G8'],
    profile: 'full',
    source: 'CWE-59',
    run: async (lab) => ({ rows: await writtenRows(lab) }),
  },
  'followed.swapped-workspace': {
    where: 'lab',
    title:
      'swap the workspace of another sandbox, which lies in its own, for a link to the host: before a start, and before an end',
    proves: ['G8', 'G4'],
    profile: 'full',
    source: 'CVE-2021-30465, CVE-2024-21626: a path is checked, and another one is mounted or cleaned',
    async run(lab) {
      const outer = await lab.make('outer');
      if (outer.target.plan?.workspace.mode === 'readonly') {
        await lab.casemate(['destroy', 'outer', '--confirm', 'outer']);
        return { notApplicable: 'workspaces are read-only: nothing in one can be swapped' };
      }
      const rows = await swapRows(lab, outer);
      await lab.casemate(['destroy', 'outer', '--confirm', 'outer']);
      return { rows };
    },
  },
};

type Kind = 'link' | 'pipe' | 'socket' | 'link to a device';

/** What commands read in a project. */
const read = [
  'casemate.yaml',
  '.env',
  'package-lock.json',
  'requirements.txt',
  '.npmrc',
  '.git/config',
  '.git/HEAD',
  '.git/worktrees',
];
const patienceMs = 30_000;

async function plant(lab: Lab, path: string, kind: Kind): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { recursive: true, force: true });
  if (kind === 'link') {
    await symlink(lab.canaries.keyFile, path);
  } else if (kind === 'link to a device') {
    await symlink('/dev/zero', path);
  } else {
    const program =
      kind === 'pipe' ? 'POSIX::mkfifo($ARGV[0], 0644)' : 'socket(S, 1, 1, 0); bind(S, pack "Sa*", 1, "$ARGV[0]\\0")';
    await run('perl', ['-MPOSIX', '-e', program, path], { env: { PATH: '/usr/bin:/bin' }, timeoutMs: 5000 });
  }
}

/** Projects with all of them at once, and with those alone that a command passes by. */
async function readRows(lab: Lab, kind: Kind): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const passedBy = read.filter((name) => name !== 'casemate.yaml' && !name.startsWith('.git'));
  for (const [names, args] of [
    [read, ['plan']] as const,
    [read.slice(1), ['run', '--', 'true']] as const,
    [passedBy, ['learn', '--', 'head', '-c', '200', '.env']] as const,
  ]) {
    const folder = join(lab.folder, `work-followed-${kind.replaceAll(' ', '-')}-${names.length}`);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await mkdir(folder, { recursive: true });
    for (const name of names) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await plant(lab, join(folder, name), kind);
    }
    // oxlint-disable-next-line no-await-in-loop -- as above
    await lab.give(folder);
    // oxlint-disable-next-line no-await-in-loop -- as above
    rows.push(...(await readRow(lab, { folder, args, what: `${names.length} files that are each a ${kind}` })));
  }
  return rows;
}

interface Reading {
  readonly folder: string;
  readonly args: readonly string[];
  readonly what: string;
}

async function readRow(lab: Lab, { folder, args, what }: Reading): Promise<readonly Row[]> {
  const since = (await lab.records()).length;
  let shown = '';
  let ended = 'ended';
  try {
    const { out, err } = await lab.casemate(args, { cwd: folder, timeoutMs: patienceMs });
    shown = out.toString('utf8') + err.toString('utf8');
  } catch (error) {
    ended = isCasemateError(error) && error.code === 'TIMED_OUT' ? `not ended after ${patienceMs / 1000} s` : String(error);
  }
  const recorded = JSON.stringify((await lab.records()).slice(since));
  return [
    same(`casemate ${args.join(' ')} with ${what}`, 'ended', ended),
    none(`the host's file shown or recorded by casemate ${args.join(' ')} with ${what}`, [
      ...(shown.includes(lab.canaries.key) ? ['shown'] : []),
      ...(recorded.includes(lab.canaries.key) ? ['recorded'] : []),
    ]),
  ];
}

/** A policy that is a plain file is read, and what it asks for is said; one that is a link to the same file is not. */
async function policyRows(lab: Lab): Promise<readonly Row[]> {
  const [plain, linked] = ['plain', 'linked'].map((name) => join(lab.folder, `work-followed-${name}`));
  const isRead = async (folder = ''): Promise<boolean> => {
    const { out, code } = await lab.casemate(['plan', '--json'], { cwd: folder });
    return code === 0 && /"pids": ?17\b/.test(out.toString('utf8'));
  };
  await Promise.all([plain, linked].map((folder) => mkdir(folder ?? '', { recursive: true })));
  await writeFile(join(plain ?? '', 'casemate.yaml'), 'version: 1\nlimits: { pids: 17 }\n');
  await symlink(join(plain ?? '', 'casemate.yaml'), join(linked ?? '', 'casemate.yaml'));
  const [seen, through] = [await isRead(plain), await isRead(linked)];
  return [
    same('a policy that is a link to a file of the host', 'is not read', through ? 'is read' : 'is not read'),
    control('a policy that is a plain file', {
      expected: 'is read',
      seen: seen ? 'is read' : 'is not read',
      ok: seen,
      from: 'outside',
    }),
  ];
}

async function writtenRows(lab: Lab): Promise<readonly Row[]> {
  const { hostFile } = lab.canaries;
  const folder = join(lab.folder, 'work-written');
  await mkdir(folder, { recursive: true });
  const before = await fingerprint(lab.folder, ['host-canary']);
  const missing = join(lab.folder, 'made-through-a-link');
  const rows: Row[] = [];
  for (const [what, target] of [['a file of the host', hostFile] as const, ['a name on the host', missing] as const]) {
    for (const name of ['casemate.yaml', 'records.json']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other in the same place
      await rm(join(folder, name), { force: true });
      // oxlint-disable-next-line no-await-in-loop -- as above
      await symlink(target, join(folder, name));
    }
    for (const args of [
      ['policy', 'propose', 'written.example', '--write', 'project', '--yes'],
      ['journal', 'export', '--output', 'records.json'],
      ['run', '--', 'true'],
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- whoever wrote has to be known
      await lab.casemate(args, { cwd: folder, timeoutMs: patienceMs });
      // oxlint-disable-next-line no-await-in-loop -- as above
      const after = await fingerprint(lab.folder, ['host-canary']);
      // oxlint-disable-next-line no-await-in-loop -- as above
      const made = await readFile(missing).catch(() => undefined);
      rows.push(
        none(`what casemate ${args.slice(0, 2).join(' ')} changed through links to ${what}`, [
          ...changes(before, after),
          ...(made === undefined ? [] : [missing]),
        ]),
      );
    }
  }
  await rm(join(folder, 'records.json'));
  const { code } = await lab.casemate(['journal', 'export', '--output', 'records.json'], { cwd: folder });
  return [
    ...rows,
    control('an export to a name that is free', { expected: '0', seen: String(code), ok: code === 0, from: 'outside' }),
  ];
}

/** A folder of the host in which everything lies that the end of a sandbox takes out of a workspace. */
async function hostFolder(lab: Lab): Promise<string> {
  const folder = join(lab.folder, 'host-folder');
  for (const { name, kind } of actByThemselves) {
    const path = join(folder, name);
    // oxlint-disable-next-line no-await-in-loop -- a handful
    await mkdir(kind === 'folder' ? path : dirname(path), { recursive: true });
    if (kind === 'file') {
      const text = { '.git/commondir': '.\n', '.git/objects/info/alternates': '' }[name];
      // oxlint-disable-next-line no-await-in-loop -- as above
      await (text === undefined ? plant(lab, path, 'socket') : writeFile(path, text));
    }
  }
  await mkdir(join(folder, 'refs'));
  await writeFile(join(folder, 'host-canary'), lab.canaries.hostText);
  return folder;
}

async function swapRows(lab: Lab, outer: LabSandbox): Promise<readonly Row[]> {
  const folder = await hostFolder(lab);
  const watched = ['.'];
  const before = await fingerprint(folder, watched);
  const inner = join(outer.workspace, 'sub');
  await outer.target.inside(['mkdir', '/workspace/sub']);
  await lab.casemate(['create', 'inner', '--workspace', inner], { cwd: inner });
  const swap = ['sh', '-c', 'mv "$1" "$1.away" && ln -s "$2" "$1"', 'sh', '/workspace/sub', folder];
  const back = ['sh', '-c', 'rm "$1" && mv "$1.away" "$1"', 'sh', '/workspace/sub'];

  await outer.target.inside(swap);
  const started = await lab.casemate(['start', 'inner']);
  const { out } = await lab.casemate(['exec', 'inner', '--', 'sh', '-c', 'cat /workspace/host-canary; ls -A /workspace']);
  const shown = out.toString('utf8').includes(lab.canaries.hostText.trim());
  await lab.casemate(['stop', 'inner']);
  const afterStart = await fingerprint(folder, watched);
  await outer.target.inside(back);

  const again = await lab.casemate(['start', 'inner']);
  const own = await lab.casemate(['exec', 'inner', '--', 'sh', '-c', 'echo mine > /workspace/mine; cat /workspace/mine']);
  await outer.target.inside(swap);
  await lab.casemate(['stop', 'inner']);
  const afterStop = await fingerprint(folder, watched);
  await outer.target.inside(back);
  await lab.casemate(['start', 'inner']);
  await outer.target.inside(swap);
  await lab.casemate(['destroy', 'inner', '--confirm', 'inner']);
  const afterEnd = await fingerprint(folder, watched);
  return [
    none('files of the host that are shown in a workspace swapped before its start', shown ? ['host-canary'] : []),
    none('what that start changed on the host', changes(before, afterStart)),
    none('what changed on the host with a workspace swapped before a stop', changes(before, afterStop)),
    none('what changed on the host with a workspace swapped before a destroy', changes(before, afterEnd)),
    same('how a start in a swapped workspace ended', 'refused', started.code === 0 ? 'started' : 'refused'),
    control('the same workspace, not swapped', {
      expected: 'starts, and shows what is written there',
      seen: `exit codes ${again.code} and ${own.code}`,
      ok: again.code === 0 && own.out.toString('utf8') === 'mine\n',
      from: 'outside',
    }),
  ];
}
