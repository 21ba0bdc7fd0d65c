import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';

import { segment } from '../../engines/docker/docker-client.ts';
import { textOf } from '../../engines/docker/read-json.ts';
import { isErrno } from '../../system/files.ts';
import { identifyProcess, isSameProcess } from '../../system/process-identity.ts';
import { callerIn } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { none, same } from '../compare.ts';
import { eventually, settled } from '../eventually.ts';
import { control, type Row } from '../finding.ts';
import { dockerParts, labContext } from '../lab/docker-view.ts';
import { holdCommand } from '../lab/held-command.ts';
import { hosts } from '../lab/hosts.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { phantomIn } from '../lab/phantoms.ts';
import { seenRow, settle, watch } from '../oracle.ts';
import { broughtTo, remainsOf, ticksNow, tracesOf } from '../outside/remains.ts';
import { changes, fingerprint } from '../outside/tree.ts';
import type { ProbeTable } from '../probe.ts';

/**
 * Whether destroyed means gone (G24): from any state, even if the daemon dies in the middle, and for the next sandbox of that
 * name.
 */

export const destroyedProbes: ProbeTable = {
  'destroyed.nothing-left': {
    where: 'lab',
    title: 'leave a process, mount, group, range of ids, file or text behind, destroyed from whatever state',
    proves: ['G24'],
    profile: 'full',
    source: 'orphans of containers that were killed in between; volumes and networks left by their names',
    async run(lab) {
      const rows: Row[] = [];
      const neighbour = await lab.twin.target.processes();
      for (const [how, way] of Object.entries(ways)) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        rows.push(...(await destroyed(lab, how, way)));
      }
      const after = await lab.twin.target.processes();
      const { code } = await lab.twin.target.inside(['true']);
      const text = await readFile(lab.canaries.hostFile, 'utf8').catch(() => '');
      return {
        rows: [
          ...rows,
          same('first process of another sandbox', String(neighbour[0]), String(after[0])),
          same('a command in another sandbox', 0, code),
          same('a file of the host that links in it led to', lab.canaries.hostText, text),
        ],
      };
    },
  },
  'destroyed.name-again': {
    where: 'lab',
    title: 'find something of a destroyed sandbox in the next one of its name, or use what stood for its key',
    proves: ['G24'],
    profile: 'full',
    source: 'volumes that are found again by name',
    async run(lab) {
      const first = await lab.make('again');
      const mark = randomBytes(12).toString('hex');
      await write(first, mark);
      const [phantom, trust, seen] = [await phantomIn(first), await trustOf(first), await read(first)];
      await lab.casemate(['destroy', first.name, '--confirm', first.name]);
      await rm(first.workspace, { recursive: true });
      const second = await lab.make('again');
      const { requests, rows } = await keyRows(lab, second, phantom);
      const result = [
        none('what the next one of the name finds', (await read(second)).includes(mark) ? ["its predecessor's files"] : []),
        same('ids of both', 'different', first.id === second.id ? 'the same' : 'different'),
        same('certificates that both trust', 'different', trust === (await trustOf(second)) ? 'the same' : 'different'),
        ...rows,
        control('files of the first one, while it was there', {
          expected: 'are found',
          seen: seen.includes(mark) ? 'are found' : 'are not',
          ok: seen.includes(mark),
        }),
        requests,
      ];
      await lab.casemate(['destroy', second.name, '--confirm', second.name]);
      return { rows: result };
    },
  },
};

interface Way {
  /** whether it ends with what happens before: numbers of its namespaces are given away again from then on */
  readonly endsBefore?: boolean;
  /** what happens to it before; hands back what is to be done afterwards */
  readonly before?: (lab: Lab, sandbox: LabSandbox) => Promise<() => Promise<unknown>>;
  readonly destroy?: (lab: Lab, sandbox: LabSandbox) => Promise<void>;
}

const remove = async (lab: Lab, { name }: LabSandbox): Promise<void> =>
  void (await lab.casemate(['destroy', name, '--confirm', name]));
const nothing = (): Promise<void> => Promise.resolve();

const ways: Readonly<Record<string, Way>> = {
  'while a command runs in it': {
    async before(_, sandbox) {
      const held = holdCommand(sandbox, (words) => sandbox.target.inside(words));
      await eventually(async () => ((await sandbox.target.processes()).length > 1 ? true : undefined));
      return held.release;
    },
  },
  'when it is stopped': {
    endsBefore: true,
    async before(lab, { name }) {
      await lab.casemate(['stop', name]);
      return nothing;
    },
  },
  'when its first process was killed': {
    endsBefore: true,
    async before(lab, sandbox) {
      await killFirst(lab, sandbox);
      return nothing;
    },
  },
  'by a daemon that is killed in the middle, and once more by the next': {
    async destroy(lab, sandbox) {
      const [first = 0] = await sandbox.target.processes();
      const [identity, daemon] = await Promise.all([identifyProcess(first), lab.daemon.pid()]);
      const cut = remove(lab, sandbox);
      await eventually(async () => (identity !== undefined && (await isSameProcess(identity)) ? undefined : true));
      process.kill(daemon, 'SIGKILL');
      await cut;
      await lab.daemon.start();
      await remove(lab, sandbox);
    },
  },
};

/** Under root's Docker it is nobody's: an ordinary user, who may use the engine, has that end it. */
async function killFirst(lab: Lab, sandbox: LabSandbox): Promise<void> {
  const [first = 0] = await sandbox.target.processes();
  try {
    process.kill(first, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'EPERM') || sandbox.target.plan?.engine !== 'docker') {
      throw error;
    }
    const { sandbox: own } = await dockerParts(lab, sandbox);
    await labContext(lab).client.must('POST', `/containers/${segment(textOf(own['Id']))}/kill`);
  }
}

const watched = ['README.md', '.git'];

async function destroyed(lab: Lab, how: string, way: Way) {
  const { before = () => Promise.resolve(nothing), destroy = remove, endsBefore = false } = way;
  const name = `gone-${randomBytes(3).toString('hex')}`;
  const sandbox = await lab.make(name, { start: false });
  const work = await fingerprint(sandbox.workspace, watched);
  await lab.casemate(['start', name]);
  const mark = randomBytes(12).toString('hex');
  await write(sandbox, mark, lab.folder);
  const traces = await tracesOf(lab, sandbox, [mark, await phantomIn(sandbox)]);
  const there = await remainsOf(lab, traces, await ticksNow());
  const { result: afterwards, ticks } = await broughtTo(() => before(lab, sandbox), endsBefore);
  await destroy(lab, sandbox);
  const left = await settled(() => remainsOf(lab, traces, ticks), 8000);
  await afterwards();
  return [
    none(`what is left, destroyed ${how}`, left),
    none(`where it is listed, destroyed ${how}`, await listings(lab, sandbox)),
    none(`what changed in its workspace, destroyed ${how}`, changes(work, await fingerprint(sandbox.workspace, watched))),
    same(`records of its end, destroyed ${how}`, 1, await endsOf(lab, sandbox)),
    control(`what is there before it is destroyed ${how}`, {
      expected: 'processes, files and more',
      seen: `${there.length} things`,
      ok: there.some((line) => line.startsWith('process ')) && there.some((line) => line.startsWith('file ')),
      from: 'outside',
    }),
  ];
}

async function listings(lab: Lab, { name, id }: LabSandbox): Promise<readonly string[]> {
  const [{ out }, { code }] = await Promise.all([lab.casemate(['ls', '--json']), lab.casemate(['inspect', name])]);
  return [...(out.toString('utf8').includes(id) ? ['casemate ls'] : []), ...(code === 0 ? ['casemate inspect'] : [])];
}

async function endsOf(lab: Lab, { id }: LabSandbox): Promise<number> {
  const records = await lab.records();
  return records.filter(({ action, sandbox }) => action === 'sandbox.destroy' && sandbox === id).length;
}

/** In every folder that can be written but the workspace; and a link to the host that must not be followed when it goes. */
async function write({ target }: LabSandbox, mark: string, host = '/'): Promise<void> {
  const script = 'for place in /home/agent /tmp /var/tmp /dev/shm; do echo "$1" > "$place/left"; ln -s "$2" "$place/host"; done';
  await target.inside(['sh', '-c', script, 'sh', mark, host]);
}

async function read({ target }: LabSandbox): Promise<string> {
  const { out } = await target.inside([
    'sh',
    '-c',
    'cat /home/agent/left /tmp/left /var/tmp/left /dev/shm/left; ls -A /home/agent',
  ]);
  return out.toString('utf8');
}

async function trustOf({ target }: LabSandbox): Promise<string> {
  const { out } = await target.inside(['sh', '-c', 'sha256sum < "$SSL_CERT_FILE"']);
  return out.toString('utf8');
}

/** What stood for the key of the first one is worth nothing in the second; its own is worth the key. */
async function keyRows(lab: Lab, sandbox: LabSandbox, phantom: string) {
  const oracle = watch(lab.world);
  const [old, own] = [randomBytes(6).toString('hex'), randomBytes(6).toString('hex')];
  const send = async (mark: string, key: string): Promise<void> => {
    const text = requestText({ host: hosts.opened, target: `/v1/echo?${mark}`, lines: [`X-Api-Key: ${key}`] });
    await callerIn(sandbox).secure({ host: hosts.opened }, [text]);
  };
  await send(old, phantom);
  await send(own, await phantomIn(sandbox));
  await settle();
  const withKey = (mark: string) => oracle.with(mark).filter((arrival) => JSON.stringify(arrival).includes(lab.canaries.key));
  return {
    rows: [
      none(
        'requests with the key that the old stand-in brought',
        withKey(old).map(({ url }) => url ?? ''),
      ),
    ],
    requests: seenRow('a request with the key that its own stand-in brought', withKey(own)),
  };
}
