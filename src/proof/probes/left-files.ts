import { randomBytes } from 'node:crypto';
import { lchown } from 'node:fs/promises';
import { join } from 'node:path';

import { none, same } from '../compare.ts';
import { control, type Row } from '../finding.ts';
import { readProcess } from '../host-view.ts';
import type { RunInside } from '../inside/observe.ts';
import { attackInside } from '../lab/attack-inside.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { rootInside } from '../lab/root-inside.ts';
import type { ProbeTable } from '../probe.ts';
import { idRanges, type IdRange } from '../outside/running-process.ts';
import { attributesOf, entriesBelow, type Attribute, type Entry } from '../outside/tree.ts';
import { textMap } from '../read-answer.ts';

/** What is left on the host's disk by the agent and by root of the sandbox (G3), judged by what the host then sees. */

/** As root the workspace gets an owner of its own, so that what belongs to root can be told from what is the owner's. */
const strangeOwner = 54_321;

const questions = ['left_set_id', 'left_owners', 'left_devices', 'left_attributes', 'left_ordinary'];

export const leftFileProbes: ProbeTable = {
  'left.files': {
    where: 'lab',
    title: 'leave files on the host that give ids, belong to others or are devices, as the agent and as root inside',
    proves: ['G3'],
    profile: 'full',
    source: 'CVE-2012-3515 class; user_namespaces(7); a set-id shell left by a container that drops all capabilities',
    async run(lab, { uid }) {
      const sandbox = await lab.make('left', { start: false });
      const owner = uid === 0 ? strangeOwner : uid;
      await giveAway(sandbox.workspace, owner, uid);
      await lab.casemate(['start', sandbox.name]);
      const agent = await leave(sandbox.target.inside, 'agent');
      const { plan } = sandbox.target;
      // Where the engine has no namespace of users for it, there is no root inside beside that of the host.
      const root = plan?.engine === 'oci' ? rootInside(lab, sandbox) : undefined;
      const byRoot = root === undefined ? agent : await leave(root, 'root');
      const owners = { owner, word: byRoot.word, nobodys: await nobodysIds(sandbox, uid) };
      const left = await entriesBelow(sandbox.workspace);
      const homes = uid === 0 ? [] : await entriesBelow(join(lab.places.state, 'sandboxes', sandbox.id, 'home'));
      const rows = [
        ...leftRows('workspace', left, owners),
        ...leftRows('home', homes, owners),
        await attributeRow(sandbox.workspace, left, owners),
        ...(root === undefined ? [] : [await mappingRow(lab, sandbox)]),
        controlRow(agent, left, sandbox.target.plan?.workspace.mode === 'readonly'),
        ...(root === undefined ? [] : [await rootRow(root)]),
      ];
      await lab.casemate(['destroy', sandbox.name, '--confirm', sandbox.name]);
      return { rows };
    },
  },
};

async function giveAway(folder: string, owner: number, uid: number): Promise<void> {
  if (uid === 0) {
    const paths = (await entriesBelow(folder)).map(({ path }) => join(folder, path));
    await Promise.all([folder, ...paths].map((path) => lchown(path, owner, owner)));
  }
}

interface Left {
  readonly word: string;
  readonly ordinary: Readonly<Record<string, string>>;
}

/** In the workspace and in the home, with names that say who left them. */
async function leave(inside: RunInside, who: string): Promise<Left> {
  const word = `${who}-${randomBytes(4).toString('hex')}`;
  const answer = await attackInside(inside, { file: 'leave', given: ['/workspace', word], questions });
  await attackInside(inside, { file: 'leave', given: ['/home/agent', word], questions });
  return { word, ordinary: textMap(answer('left_ordinary')) };
}

interface Owners {
  readonly owner: number;
  /** what names of root's begin with */
  readonly word: string;
  /** what root inside may leave: ids that no account has */
  readonly nobodys: readonly IdRange[];
}

/**
 * Where root starts a sandbox that shares its kernel, nothing can be written but by the owner's id. Elsewhere root inside, who
 * nobody is, has an id of the sandbox's own: a subordinate one of the caller's, or with gVisor one of the sandbox's range.
 */
async function nobodysIds({ target }: LabSandbox, uid: number): Promise<readonly IdRange[]> {
  const [first = 0] = await target.processes();
  const isStrict = uid === 0 && target.plan?.runtime !== 'runsc';
  const ranges = isStrict ? [] : idRanges(await readProcess(first, 'uid_map'));
  return ranges.filter(({ outside }) => outside > greatestAccount);
}

/** Above what `useradd` gives to people by default (login.defs(5)); subordinate and container ids begin above it. */
const greatestAccount = 60_000;

export function isOwned({ path, uid, gid }: Pick<Entry, 'path' | 'uid' | 'gid'>, { owner, word, nobodys }: Owners): boolean {
  const isNobodys = (id: number): boolean => nobodys.some(({ outside, size }) => id >= outside && id < outside + size);
  const ofRoot = path.startsWith(word);
  return [uid, gid].every((id) => id === owner || (ofRoot && isNobodys(id)));
}

function leftRows(where: string, left: readonly Entry[], owners: Owners): readonly Row[] {
  const named = (entries: readonly Entry[]): readonly string[] =>
    entries.map(({ path, uid, gid, mode }) => `${path} (${uid}:${gid}, ${mode.toString(8)})`);
  return left.length === 0
    ? []
    : [
        none(`files in the ${where} that are not its owner's`, named(left.filter((entry) => !isOwned(entry, owners)))),
        none(
          `files in the ${where} with set-id bits`,
          named(left.filter(({ kind, mode }) => kind !== 'folder' && (mode & 0o6000) !== 0)),
        ),
        none(`devices in the ${where}`, named(left.filter(({ kind }) => kind === 'device'))),
      ];
}

async function attributeRow(folder: string, left: readonly Entry[], { nobodys }: Owners): Promise<Row> {
  const found = await attributesOf(
    folder,
    left.map(({ path }) => path),
  );
  const giving = found.filter((one) => /^(?:security|trusted)\./.test(one.name) && !givesNobody(one, nobodys));
  return none(
    'attributes that give capabilities or trust',
    giving.map(({ path, name }) => `${name} of ${path}`),
  );
}

/**
 * The kernel writes down for whose namespaces file capabilities hold (capabilities(7), version 3, `struct vfs_ns_cap_data`):
 * those whose root is an id that no account has are none of this host's.
 */
export function givesNobody({ name, value }: Pick<Attribute, 'name' | 'value'>, nobodys: readonly IdRange[]): boolean {
  const bytes = Buffer.from(value, 'hex');
  if (name !== 'security.capability' || bytes.length !== 24 || bytes.readUInt32LE(0) >>> 24 !== 3) {
    return false;
  }
  const root = bytes.readUInt32LE(20);
  return nobodys.some(({ outside, size }) => root >= outside && root < outside + size);
}

async function mappingRow(lab: Lab, sandbox: LabSandbox): Promise<Row> {
  const [own, other] = await Promise.all(
    [sandbox, lab.twin].map(async ({ target }) => {
      const [first = 0] = await target.processes();
      return idRanges(await readProcess(first, 'uid_map'));
    }),
  );
  const isUser = process.geteuid?.() !== 0;
  const shared = (own ?? []).filter((range) =>
    (other ?? []).some(({ outside, size }) => outside < range.outside + range.size && range.outside < outside + size),
  );
  // An ordinary user has one range of subordinate ids for all; root has one for each sandbox.
  return isUser
    ? same('ranges of host ids that hold root', 0, (own ?? []).filter(({ outside }) => outside === 0).length)
    : none(
        'host ids that another sandbox has, too',
        shared.map(({ outside }) => String(outside)),
      );
}

/** Ordinary files can be left; a read-only workspace takes none. */
function controlRow({ word, ordinary }: Left, left: readonly Entry[], isReadOnly: boolean): Row {
  const { file: seen = 'none' } = ordinary;
  const there = left.some(({ path, kind }) => path === `${word}-file` && kind === 'file');
  return isReadOnly
    ? control('write an ordinary file', { expected: 'EROFS', seen, ok: seen === 'EROFS' })
    : control('leave an ordinary file', {
        expected: 'it is there',
        seen: there ? 'it is there' : seen,
        ok: there,
        from: 'outside',
      });
}

async function rootRow(root: RunInside): Promise<Row> {
  const { out } = await root(['sh', '-c', 'id -u; grep CapEff /proc/self/status']);
  const [user = 'none', capabilities = ''] = out.toString('utf8').trim().split('\n');
  const seen = `user ${user}, ${capabilities.replace(/\s+/, ' ')}`;
  return control('be root inside', {
    expected: 'user 0 with capabilities',
    seen,
    ok: user === '0' && /[1-9a-f]/.test(capabilities.slice(8)),
  });
}
