/** The oracle of the fault suite, seen red: each thing that must not be left is left on purpose, and named. */
import { spawn } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { newSandboxId } from '../../src/base/ids.ts';
import { run } from '../../src/system/process.ts';
import type { Line } from '../faults/accounts.ts';
import { lookOnce, type Looked, type Moment } from '../faults/look.ts';
import { contentsOf, makeProject } from '../faults/project.ts';

const isRoot = process.getuid?.() === 0;
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
const id = newSandboxId();
let root: string;
/** Groups of the test's own: those of this host come and go with whatever runs beside it. */
let groupsTop: string;
let looked: Looked;
let database: DatabaseSync;
let seq: number;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'casemate-oracle-'));
  const [project, state] = [join(root, 'project'), join(root, 'casemate/state')];
  await Promise.all([mkdir(project), mkdir(join(root, 'tmp')), mkdir(join(state, 'journal'), { recursive: true })]);
  await makeProject(project);
  database = new DatabaseSync(join(state, 'state.sqlite'));
  database.exec('CREATE TABLE sandboxes (id TEXT PRIMARY KEY, name TEXT, state TEXT)');
  await writeFile(join(state, 'journal/journal-000001.jsonl'), '');
  seq = 0;
  groupsTop = await mkdtemp(join(tmpdir(), 'casemate-groups-'));
  looked = { root, project, state, daemon: undefined, contents: contentsOf(project), groupsTop };
});
afterEach(async () => {
  database.close();
  await Promise.all([root, groupsTop].map((folder) => rm(folder, { recursive: true, force: true })));
});

const faults = (moment: Moment = 'settled'): readonly string[] => lookOnce(looked, moment);

async function record(action: string, more: Partial<Line> = {}): Promise<void> {
  seq += 1;
  const line = { seq, time: '', action, subject: 'box', outcome: 'ok', sandbox: id, ...more };
  await appendFile(join(looked.state, 'journal/journal-000001.jsonl'), `${JSON.stringify(line)}\n`);
}

function stand(state: string): void {
  database.prepare('INSERT OR REPLACE INTO sandboxes VALUES (?, ?, ?)').run(id, 'box', state);
}

/** A sandbox that was made, used and removed, as it should stand on record. */
async function wholeLife(): Promise<void> {
  stand('gone');
  for (const action of ['create', 'start', 'adopt', 'stop', 'start', 'stop', 'destroy']) {
    await record(`sandbox.${action}`);
  }
  await record('exec.start', { detail: { execution: 'ex-1' } });
  await record('exec.end', { detail: { execution: 'ex-1' } });
}

describe('the oracle', () => {
  test('finds nothing where nothing is wrong', async () => {
    await wholeLife();
    expect([faults('killed'), faults('settled')]).toEqual([[], []]);
  });

  test('names a process that nobody owns, by its environment and by its arguments', async () => {
    const byEnvironment = spawn('sleep', ['60'], { env: { ...env, CASEMATE_HOME: join(root, 'casemate') }, stdio: 'ignore' });
    const byArguments = spawn('tail', ['-f', '/dev/null', join(root, 'project/src')], { env, stdio: 'ignore' });
    try {
      await expect.poll(() => faults('killed')).toHaveLength(2);
      expect(faults().join('\n')).toMatch(/process \d+ runs and nobody owns it: sleep 60/);
      looked = { ...looked, own: [byEnvironment.pid ?? 0, byArguments.pid ?? 0] };
      expect(faults()).toEqual([]);
    } finally {
      byEnvironment.kill('SIGKILL');
      byArguments.kill('SIGKILL');
    }
  });

  test.skipIf(!isRoot)('(needs root to mount) names a mount and a block device', async () => {
    await wholeLife();
    const mountPoint = join(root, 'tmp');
    const image = join(root, 'casemate/state/left.ext4');
    await writeFile(image, Buffer.alloc(1 << 20));
    const loop = (await run('losetup', ['--find', '--show', image], { env })).stdout.toString().trim();
    await run('mount', ['-t', 'tmpfs', 'none', mountPoint], { env });
    try {
      const found = faults('killed').join('\n');
      expect(found).toContain(`block device for ${image}`);
      expect(found).toMatch(/mount on the host: .*\/tmp .*tmpfs/);
    } finally {
      await run('umount', [mountPoint], { env });
      await run('losetup', ['--detach', loop], { env });
    }
  });

  test('names a group of a sandbox that does not run, and misses that of one that does', async () => {
    stand('running');
    await record('sandbox.create');
    await record('sandbox.start');
    expect(faults()).toEqual(['"box" is running and has no group']);
    await mkdir(join(groupsTop, 'pids/casemate', id), { recursive: true });
    expect(faults()).toEqual([]);
    stand('stopped');
    await record('sandbox.stop');
    expect(faults()).toEqual([`cgroup of ${id}, which does not run`]);
  });

  test('names a group that a dead process tried out, and none of one that lives', async () => {
    await wholeLife();
    const name = 'casemate-probe-4194305-1-0123abcd';
    await mkdir(join(groupsTop, name));
    await mkdir(join(groupsTop, `casemate-probe-${process.pid}-1-0123abcd`));
    expect(faults()).toEqual([expect.stringContaining(`${name} of a dead process`)]);
  });

  test('names files that belong to no sandbox, and the same of one that is there not', async () => {
    await wholeLife();
    const at = (path: string): string => join(root, 'casemate', path);
    await mkdir(at(`state/sandboxes/${id}/home`), { recursive: true });
    await mkdir(at('state/engine/slots'), { recursive: true });
    await writeFile(at('state/engine/slots/17'), id);
    await writeFile(at('state/.credentials.sealed.1-2.0123456789ab'), '');
    await writeFile(join(root, 'tmp/casemate-learn-x'), '');
    expect(faults()).toEqual([
      'file casemate/state/.credentials.sealed.1-2.0123456789ab has no owner',
      'file casemate/state/engine/slots/17 has no owner',
      `file casemate/state/sandboxes/${id} has no owner`,
      'file tmp/casemate-learn-x has no owner',
    ]);
  });

  test('lets two containers wait for sandboxes while there is a daemon, and names a third one and what a dead one left', async () => {
    await wholeLife();
    const at = (path: string): string => join(root, 'casemate', path);
    await Promise.all(['state/engine/sandboxes', 'run/engine/runc'].map((path) => mkdir(at(path), { recursive: true })));
    const wait = async (waiting: string): Promise<void> => {
      await writeFile(at(`state/engine/sandboxes/${waiting}.json`), JSON.stringify({ spec: { id: waiting }, ready: true }));
      await mkdir(at(`run/engine/runc/${waiting}`));
    };
    await wait('cm-first-waiting');
    expect(faults()).toEqual([
      'file casemate/run/engine/runc/cm-first-waiting has no owner',
      'file casemate/state/engine/sandboxes/cm-first-waiting.json has no owner',
    ]);
    const child = spawn('sleep', ['60'], { env, stdio: 'ignore' });
    try {
      looked = { ...looked, daemon: child.pid };
      expect(faults()).toEqual([]);
      await wait('cm-second-waiting');
      expect(faults()).toEqual([]);
      await wait('cm-third-waiting');
      expect(faults().join('\n')).toMatch(
        /the container cm-\w+-waiting waits for a sandbox beside cm-\w+-waiting cm-\w+-waiting/,
      );
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('names what is more or less in the workspace', async () => {
    await mkdir(join(looked.project, '.claude'));
    await writeFile(join(looked.project, '.git/HEAD'), 'ref: refs/heads/other\n');
    expect(faults().map((fault) => fault.replace(/ [0-7]+ \d+:\d+ \w+$/, ''))).toEqual([
      'in the workspace and not before: .claude',
      'in the workspace and not before: .git/HEAD',
      'of the workspace and gone: .git/HEAD',
    ]);
  });

  test('names a record that is doubled, lost or out of place, and a state without one', async () => {
    stand('stopped');
    await record('sandbox.create');
    await record('sandbox.start');
    await record('sandbox.stop');
    await record('sandbox.stop', { outcome: 'interrupted' });
    await record('exec.start', { detail: { execution: 'ex-1' } });
    await record('exec.end', { detail: { execution: 'ex-2' } });
    await record('exec.end', { detail: { execution: 'ex-2' } });
    seq += 1;
    await record('journal.checkpoint', { sandbox: undefined as never });
    const other = newSandboxId();
    database.prepare('INSERT INTO sandboxes VALUES (?, ?, ?)').run(other, 'silent', 'created');
    expect(faults()).toEqual([
      `${id}: record 4 says stop (interrupted) after stop`,
      `${other} is created and in no record`,
      `${id} ex-2 has a record of exec.start or exec.end 2 times`,
      `${id} ex-2 has exec.end and no exec.start`,
      `${id} ex-1 has exec.start and no exec.end`,
      'record 9 stands at place 8',
    ]);
  });

  test('names a state that is not at rest, and one that its records do not give', async () => {
    stand('stopping');
    await record('sandbox.create');
    await record('sandbox.start');
    expect(faults()).toEqual(['"box" stays stopping', `${id} is stopping, but its last record says start`]);
    stand('gone');
    expect(faults()).toEqual([`${id} is gone, but its last record says start`]);
  });

  test('names a listener of the daemon on the network of the host, and sockets that it kept', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    looked = { ...looked, daemon: process.pid };
    const found = faults().join('\n');
    server.close();
    expect(found).toMatch(/listens on the host's network at 0100007F:/);
    expect(found).toMatch(/the daemon holds \d+ sockets where 1 are known/);
  });
});
