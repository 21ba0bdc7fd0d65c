import { mkdir, readFile, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { dataFile } from '../../system/data-file.ts';
import { run } from '../../system/process.ts';
import { controlFrames } from '../attacks/control-frames.ts';
import { none, same } from '../compare.ts';
import { attack, control, type Row } from '../finding.ts';
import { attackInside } from '../lab/attack-inside.ts';
import type { Lab } from '../lab/lab.ts';
import { rootInside } from '../lab/root-inside.ts';
import type { ProbeTable } from '../probe.ts';
import { text, textList, textMap } from '../read-answer.ts';

/** The socket over which the daemon gets its orders (G21): attacked from inside, as another user, and with malformed calls. */

const socketOf = ({ places }: Lab): string => join(places.runtime, 'daemon.sock');

/** Frames after which nobody may be listened to any more. */
const endless = ['no JSON', 'bytes that are no text', 'a line without end'];

/** nobody */
const stranger = 65_534;

export const controlProbes: ProbeTable = {
  'control.from-inside': {
    where: 'lab',
    title: 'reach the control socket from inside, as the agent and as root, by every name that could lead to it',
    proves: ['G21'],
    profile: 'full',
    source: "a control path that a sandbox could reach, Docker's sandboxes 0.42; CVE-2020-15257",
    async run(lab) {
      const rows: Row[] = [];
      for (const [who, inside] of [['agent', lab.twin.target.inside] as const, ['root', rootInside(lab, lab.twin)] as const]) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const answer = await attackInside(inside, {
          file: 'control',
          given: [socketOf(lab)],
          questions: ['reach_control', 'listed_control', 'own_socket'],
        });
        const reached = Object.entries(textMap(answer('reach_control'))).filter(([, seen]) => seen === 'DONE');
        const own = text(answer('own_socket'));
        rows.push(
          none(
            `names by which the ${who} reaches it`,
            reached.map(([name]) => name),
            'inside',
          ),
          none(`sockets of the daemon that the ${who} is told of`, textList(answer('listed_control')), 'inside'),
          control(`a socket of its own, as ${who}`, { expected: 'DONE', seen: own, ok: own === 'DONE' }),
        );
      }
      rows.push(...(await workspaceRows(lab)), await ownerRow(lab, 'the owner, on the host'));
      return { rows };
    },
  },
  'control.other-users': {
    where: 'lab',
    title: 'open the control socket as another user of the machine, from beside its folder and from within',
    proves: ['G21'],
    profile: 'full',
    source: 'unix(7); CVE-2019-14271 class of world-writable control sockets',
    async run(lab, { uid }) {
      const path = socketOf(lab);
      const [socket, folder] = await Promise.all([stat(path), stat(dirname(path))]);
      const mode = (value: number): string => (value & 0o7777).toString(8);
      return {
        rows: [
          same('permissions of the socket', '600', mode(socket.mode)),
          same('permissions of its folder', '700', mode(folder.mode)),
          same('owner of both', `${uid} ${uid}`, `${socket.uid} ${folder.uid}`),
          ...(uid === 0 ? await strangerRows(path) : []),
          await ownerRow(lab, 'the owner'),
        ],
      };
    },
  },
  'control.garbage': {
    where: 'lab',
    title: 'end the daemon with what is no call, too long, too deep or too much',
    proves: ['G21'],
    profile: 'full',
    source: 'CWE-20; CWE-1321; CWE-400',
    async run(lab) {
      const before = await lab.daemon.pid();
      const rows: Row[] = [];
      for (const [what, pieces] of Object.entries(controlFrames())) {
        // oxlint-disable-next-line no-await-in-loop -- whoever ended it has to be known
        const end = await say(socketOf(lab), pieces, endless.includes(what) ? 10_000 : 300);
        rows.push(...(endless.includes(what) ? [same(`what becomes of ${what}`, 'hung up on', end)] : []));
        // oxlint-disable-next-line no-await-in-loop -- as above
        rows.push(same(`the daemon after ${what}`, 'the same', await answersStill(socketOf(lab), before)));
      }
      const idle = await Promise.all(Array.from({ length: 300 }, () => open(socketOf(lab))));
      rows.push(same('the daemon beside 300 who say nothing', 'the same', await answersStill(socketOf(lab), before)));
      idle.forEach((socket) => socket?.destroy());
      const { code } = await lab.twin.target.inside(['true']);
      rows.push(
        same('a command inside, afterwards', 0, code),
        control('those who said nothing', {
          expected: 'were let in',
          seen: idle.includes(undefined) ? 'were not' : 'were let in',
          ok: !idle.includes(undefined),
          from: 'outside',
        }),
        await ownerRow(lab, 'the owner, afterwards'),
      );
      return { rows };
    },
  },
};

/** A folder that holds the socket must never be shown to a sandbox. */
async function workspaceRows(lab: Lab): Promise<readonly Row[]> {
  const beside = join(lab.folder, 'work-beside');
  await mkdir(beside, { recursive: true });
  const folders = {
    'that of the socket': lab.places.runtime,
    'the one above': dirname(lab.places.runtime),
    'one that holds all': lab.folder,
  };
  const rows: Row[] = [];
  for (const [what, folder] of Object.entries(folders)) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { code, err } = await lab.casemate(['create', 'control', '--workspace', folder], { cwd: beside });
    const said = err.toString('utf8');
    const isRefused = code !== 0 && said.includes('is refused');
    rows.push(
      attack(`a folder as workspace: ${what}`, {
        expected: 'refused',
        seen: isRefused ? 'refused' : `ended with ${code}: ${said.slice(0, 100)}`,
        ok: isRefused,
        from: 'outside',
      }),
    );
    // oxlint-disable-next-line no-await-in-loop -- as above
    await (code === 0 ? lab.casemate(['destroy', 'control', '--confirm', 'control']) : undefined);
  }
  return rows;
}

/** Root can become somebody else, and be in a folder already that the other could not have come into. */
async function strangerRows(path: string): Promise<readonly Row[]> {
  const folder = dirname(path);
  const places = [
    ['from within its folder', folder, 'daemon.sock'],
    ['from beside its folder', dirname(folder), join(folder.slice(dirname(folder).length + 1), 'daemon.sock')],
  ] as const;
  return (
    await Promise.all(
      places.map(async ([what, at, name]) => {
        const [other, owner] = await Promise.all([connectAs(String(stranger), at, name), connectAs('-', at, name)]);
        return [
          attack(`connect as user ${stranger}, ${what}`, {
            expected: 'EACCES',
            seen: other,
            ok: other === 'EACCES',
            from: 'outside',
          }),
          control(`connect as the owner, ${what}`, { expected: 'DONE', seen: owner, ok: owner === 'DONE', from: 'outside' }),
        ];
      }),
    )
  ).flat();
}

async function connectAs(user: string, folder: string, name: string): Promise<string> {
  const program = await readFile(dataFile('proof/outside/other-user.pl'), 'utf8');
  const options = { env: { PATH: '/usr/bin:/bin' }, timeoutMs: 10_000 };
  const { stdout, stderr } = await run('perl', ['-e', program, user, folder, name], options);
  return `${stdout.toString('utf8')}${stderr.toString('utf8')}`.trim().slice(0, 100);
}

async function ownerRow(lab: Lab, who: string): Promise<Row> {
  const { code } = await lab.casemate(['ls', '--json']);
  return control(who, {
    expected: 'is answered',
    seen: code === 0 ? 'is answered' : `exit code ${code}`,
    ok: code === 0,
    from: 'outside',
  });
}

async function open(path: string): Promise<Socket | undefined> {
  const { promise, resolve } = Promise.withResolvers<Socket | undefined>();
  const socket = connect(path);
  socket.once('connect', () => resolve(socket));
  socket.on('error', () => resolve(undefined));
  return await promise;
}

/** Until the daemon hangs up, or has had time to. */
async function say(path: string, pieces: readonly Buffer[], patienceMs: number): Promise<string> {
  const socket = await open(path);
  if (socket === undefined) {
    return 'not let in';
  }
  const closed = new Promise((resolve) => void socket.once('close', () => resolve('hung up on')));
  socket.resume();
  pieces.forEach((piece) => void socket.write(piece));
  const end = await Promise.race([closed, sleep(patienceMs, 'listened to')]);
  socket.destroy();
  return String(end);
}

/** Who greets at the socket: the process of before, another one, or nobody. */
async function answersStill(path: string, before: number): Promise<string> {
  const socket = await open(path);
  if (socket === undefined) {
    return 'nobody';
  }
  const hello = await Promise.race([new Promise<Buffer>((resolve) => void socket.once('data', resolve)), sleep(5000)]);
  socket.destroy();
  const [, pid] = /"pid":(\d+)/.exec(hello?.toString('utf8') ?? '') ?? [];
  return pid === undefined ? 'silent' : Number(pid) === before ? 'the same' : `another, ${pid}`;
}
