import { mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';

import { none, same } from '../compare.ts';
import { attack, control, type Row } from '../finding.ts';
import type { Lab } from '../lab/lab.ts';
import { openCaller, type CallerAnswer, type LabCaller } from '../lab/lab-caller.ts';
import { privilegeRows } from '../outside/privilege-rows.ts';
import { statusFields } from '../host-view.ts';
import { sandboxNames } from '../lab/told.ts';
import type { ProbeTable } from '../probe.ts';

/**
 * A caller over MCP that was talked into anything (A4): it has its own sandboxes and folders, and nothing it says gets it more.
 * The result of each attempt is checked on this host.
 */

interface Ground {
  readonly lab: Lab;
  readonly caller: LabCaller;
  /** of its own */
  readonly sessionId: string;
  readonly root: string;
  readonly project: string;
}

export const callerProbes: ProbeTable = {
  'callers.bounds': {
    where: 'lab',
    title: 'take other sandboxes, other folders and more rights as a caller over MCP',
    proves: ['G8', 'G15', 'G23'],
    profile: 'full',
    source: 'CWE-441, CWE-59; servers that hand arguments of a model to an engine',
    async run(lab) {
      const root = join(lab.folder, 'work-callers');
      const project = join(root, 'project');
      await mkdir(project, { recursive: true });
      await lab.give(project);
      await symlink(lab.folder, join(root, 'link'));
      const caller = await openCaller(lab, 'proof', root);
      try {
        const layout = ['imports', 'exports'];
        const made = await caller.call('create_session', { projectPath: project, agent: 'none', layout });
        const ground = { lab, caller, root, project, sessionId: String(made.result['sessionId']) };
        const before = await sandboxNames(lab.casemate);
        const rows = [
          worksRow('a session of its own', made),
          ...(await confinedRows(ground)),
          ...(await layoutRows(ground)),
          ...(await strangers(ground)),
          ...(await takings(ground)),
          ...(await plantings(ground)),
          ...(await widenings(ground)),
        ];
        const further = (await sandboxNames(lab.casemate)).filter((name) => !before.includes(name));
        await caller.call('destroy_session', { sessionId: ground.sessionId });
        return { rows: [...rows, none('sandboxes that came of it', further)] };
      } finally {
        caller.close();
      }
    },
  },
};

function refusedRow(what: string, { refused }: CallerAnswer): Row {
  const seen = refused === undefined ? 'done' : `refused: ${refused.split('\n')[0]?.slice(0, 100)}`;
  return attack(what, { expected: 'refused', seen, ok: refused !== undefined, from: 'outside' });
}

function worksRow(what: string, { refused }: CallerAnswer, ok = true): Row {
  const seen = refused === undefined ? (ok ? 'done' : 'done, and not seen') : `refused: ${refused.split('\n')[0]?.slice(0, 160)}`;
  return control(what, { expected: 'done', seen, ok: refused === undefined && ok, from: 'outside' });
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Of proc(5), left out there by releases of gVisor; `kernel.privilege` asks for the same by calls. All else has to stand there. */
const unsaidByGvisor: ReadonlySet<string> = new Set(['CapAmb', 'no new privileges']);

/** Its commands are confined as those of a person are. */
async function confinedRows({ lab, caller, sessionId }: Ground): Promise<readonly Row[]> {
  const answer = await caller.call('execute_command', { sessionId, command: 'cat /proc/self/status' });
  const rows = privilegeRows(statusFields(String(answer.result['stdout'])), 'inside');
  const ownKernel = lab.twin.target.plan?.runtime === 'runsc';
  const said = rows.filter(({ what, seen }) => !(ownKernel && unsaidByGvisor.has(what) && seen === 'none'));
  return [worksRow('a command of its own', answer), ...said];
}

/** What of its workspace it may read alone, by every way that leads there. */
async function layoutRows({ caller, sessionId, project }: Ground): Promise<readonly Row[]> {
  await writeFile(join(project, 'imports/given'), 'given');
  const tries =
    'echo x > given; echo x > new; rm -f given; chmod 777 .; cd ..; mv imports taken; rm -rf imports; mkdir -p imports';
  await caller.call('execute_command', { sessionId, command: `cd imports && ${tries}` });
  const text = await readFile(join(project, 'imports/given'), 'utf8').catch(() => 'nothing');
  const there = await readdir(join(project, 'imports')).catch(() => ['not there']);
  const fine = await caller.call('execute_command', { sessionId, command: 'echo x > exports/fine && cat imports/given' });
  return [
    same('what lies in imports of its layout', 'given', text),
    same('names in imports of its layout', ['given'], there),
    worksRow('write into exports and read imports', fine, await isThere(join(project, 'exports/fine'))),
  ];
}

/** The sandbox of somebody else, by all that could name it. */
async function strangers({ lab, caller, project }: Ground): Promise<readonly Row[]> {
  const { twin } = lab;
  const mark = `called-${randomBytes(6).toString('hex')}`;
  const snapshotId = `sn-${'0'.repeat(16)}`;
  const rows: Row[] = [];
  for (const sessionId of [twin.id, twin.name, `../${twin.id}`]) {
    const tries: Readonly<Record<string, object>> = {
      execute_command: { sessionId, command: `touch /workspace/${mark}` },
      start_command: { sessionId, command: `touch /workspace/${mark}` },
      transfer_files: { sessionId, direction: 'to_container', sourcePath: project, destPath: `/workspace/${mark}` },
      get_session_logs: { sessionId },
      get_events: { sessionId },
      snapshot_session: { sessionId },
      list_snapshots: { sessionId },
      restore_session: { sessionId, snapshotId },
      remove_snapshot: { sessionId, snapshotId },
      destroy_session: { sessionId },
    };
    for (const [tool, args] of Object.entries(tries)) {
      const what = `${tool} in the sandbox of another, as ${sessionId.replace(twin.id, 'ID')}`;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      rows.push(refusedRow(what, await caller.call(tool, args)));
    }
  }
  const lives = (await twin.target.inside(['true'])).code === 0;
  return [
    ...rows,
    none('marks in the workspace of another', (await isThere(join(twin.workspace, mark))) ? [mark] : []),
    attack('the sandbox of another', { expected: 'runs', seen: lives ? 'runs' : 'is gone', ok: lives, from: 'outside' }),
  ];
}

/** Files of the host that lie in none of its folders. */
async function takings({ lab, caller, sessionId, root, project }: Ground): Promise<readonly Row[]> {
  const { hostFile, hostText, keyFile } = lab.canaries;
  await symlink(hostFile, join(project, 'linked'));
  await caller.call('execute_command', { sessionId, command: `ln -s ${hostFile} made-inside; mkdir -p /tmp/taken` });
  const places = {
    'a file beside its folders': hostFile,
    'a key of the host': keyFile,
    'a file by way of ..': `${root}/../host-canary`,
    'a file through a folder that is a link': join(root, 'link/host-canary'),
    'a file through a link': join(project, 'linked'),
    'a file through a link made inside': join(project, 'made-inside'),
  };
  const rows: Row[] = [];
  for (const [what, sourcePath] of Object.entries(places)) {
    const args = { sessionId, direction: 'to_container', sourcePath, destPath: '/tmp/taken' };
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    rows.push(refusedRow(`take in ${what}`, await caller.call('transfer_files', { ...args, overwrite: true })));
  }
  await writeFile(join(project, 'plain'), 'plain text');
  const args = { sessionId, direction: 'to_container', sourcePath: join(project, 'plain'), destPath: '/tmp/taken' };
  const plain = await caller.call('transfer_files', args);
  const { result } = await caller.call('execute_command', { sessionId, command: 'cat /tmp/taken/*' });
  const inside = String(result['stdout']);
  return [
    ...rows,
    none('texts of the host inside', inside.includes(hostText.trim()) || inside.includes(lab.canaries.key) ? ['a canary'] : []),
    worksRow('take in a file of its own folder', plain, inside.includes('plain text')),
  ];
}

/** Files of the host that are not its to write. */
async function plantings({ lab, caller, sessionId, root, project }: Ground): Promise<readonly Row[]> {
  const name = `planted-${randomBytes(6).toString('hex')}`;
  const bare = `mkdir -p /tmp/${name}.git/objects /tmp/${name}.git/refs; echo 'ref: refs/heads/x' > /tmp/${name}.git/HEAD`;
  await caller.call('execute_command', {
    sessionId,
    command: `echo planted > /tmp/${name}; ${bare}; echo > /tmp/${name}.git/config`,
  });
  const places = {
    'beside its folders': join(lab.folder, name),
    'through a folder that is a link': join(root, 'link', name),
    'as a hook of git': join(root, '.git/hooks/pre-commit'),
    'as settings of an editor': join(root, '.vscode/tasks.json'),
    'as a hook of git elsewhere': join(root, 'hooks/pre-commit'),
    'as what is left to a repository': join(root, 'nearly/HEAD'),
  };
  for (const folder of ['.git/hooks', '.vscode', 'hooks', 'nearly/objects', 'nearly/refs']) {
    // oxlint-disable-next-line no-await-in-loop -- a handful
    await mkdir(join(root, folder), { recursive: true });
  }
  await writeFile(join(root, '.git/config'), '[core]\n\thooksPath = hooks\n');
  const rows: Row[] = [];
  for (const [what, destPath] of Object.entries(places)) {
    const args = { sessionId, direction: 'from_container', sourcePath: `/tmp/${name}`, destPath, overwrite: true };
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    rows.push(refusedRow(`write ${what}`, await caller.call('transfer_files', args)));
  }
  const repository = { sessionId, direction: 'from_container', sourcePath: `/tmp/${name}.git`, destPath: join(root, 'bare') };
  rows.push(refusedRow('write a repository without a .git', await caller.call('transfer_files', repository)));
  const there = await Promise.all(Object.entries(places).map(async ([what, path]) => ((await isThere(path)) ? [what] : [])));
  const parts = await Promise.all(['HEAD', 'objects', 'refs'].map(async (part) => await isThere(join(root, 'bare', part))));
  const args = { sessionId, direction: 'from_container', sourcePath: `/tmp/${name}`, destPath: join(project, 'fine') };
  const fine = await caller.call('transfer_files', args);
  const text = await readFile(join(project, 'fine'), 'utf8').catch(() => '');
  return [
    ...rows,
    none('files that came to be there', there.flat()),
    none('repositories that came to be there', parts.every(Boolean) ? ['bare'] : []),
    worksRow('write into its own folder', fine, text === 'planted\n'),
  ];
}

/** More than the policy gives, in the words of other servers and of our own command line. */
async function widenings({ lab, caller, root, project }: Ground): Promise<readonly Row[]> {
  const base = { projectPath: project, agent: 'none' };
  const tries: Readonly<Record<string, object>> = {
    'a folder that is not its own': { ...base, projectPath: lab.twin.workspace },
    'a folder within a name that is not its to write': { ...base, projectPath: join(root, '.vscode/inner') },
    'a folder through a link': { ...base, projectPath: join(root, 'link/work-twin') },
    'the state of the installation': { ...base, projectPath: lab.places.state },
    'a waiver': { ...base, waive: ['seccomp'] },
    'a policy': { ...base, policy: join(project, 'policy.yaml') },
    'a privileged container': { ...base, dockerOpts: { Privileged: true } },
    'a capability': { ...base, dockerOpts: { CapAdd: ['SYS_ADMIN'] } },
    'a mount': { ...base, mcpMounts: [{ hostPath: '/etc', containerPath: '/host' }] },
    'more memory': { ...base, dockerOpts: { Memory: '4096g' } },
  };
  await mkdir(join(root, '.vscode/inner'), { recursive: true });
  const rows: Row[] = [];
  for (const [what, args] of Object.entries(tries)) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    rows.push(refusedRow(`a session with ${what}`, await caller.call('create_session', args)));
  }
  return rows;
}
