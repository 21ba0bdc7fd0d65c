/** A kernel that a container of ours tells of, forced on this one: what it is asked, whom it signals, and that it stays nowhere. */
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { dockerClient } from '../../src/engines/docker/docker-client.ts';
import { newExec } from '../../src/engines/docker/inside.ts';
import { partOf } from '../../src/engines/docker/containers.ts';
import { labels } from '../../src/engines/docker/labels.ts';
import { fieldsOf, rowsOf, textOf } from '../../src/engines/docker/read-json.ts';
import { eventually } from '../../src/proof/eventually.ts';
import { spawnProcess } from '../../src/system/process.ts';
import { answerOf } from '../helpers/answer-of.ts';
import { dockerLab, dockerLacks, dockerSocket, type DockerLab } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const client = dockerClient(dockerSocket);

describe.skipIf(!engineOrSkip('docker', await dockerLacks()))('an engine whose kernel is observed', () => {
  let lab: DockerLab;
  beforeAll(async () => {
    lab = await dockerLab('docker', { uplink: { network: 'host', host: '127.0.0.1' }, isElsewhere: true });
  });
  afterAll(async () => {
    await lab.remove();
  });

  /** By the mark of this lab's folder. */
  async function observers(): Promise<readonly string[]> {
    const label = [`${labels.engine}=${await lab.context.mark()}`, `${labels.part}=observer`];
    const rows = rowsOf(
      await client.must('GET', '/containers/json', { query: { all: true, filters: JSON.stringify({ label }) } }),
    );
    return rows.map((row) => textOf(fieldsOf(row)['Id']));
  }

  test('has one observer for all sandboxes, made anew where somebody removed it, and gone with its process and with the last of them', async () => {
    const [one, other] = [await lab.started(), await lab.started()];
    const [first, ...more] = await observers();
    expect([first === undefined, more]).toEqual([false, []]);
    expect(await lab.engine.processes(one.id)).toHaveLength(1);
    // The engine removes it by itself, too, and may say that it is about to.
    await client.call('DELETE', `/containers/${first}`, { query: { force: true } });
    expect(await lab.engine.processes(other.id)).toHaveLength(1);
    await expect.poll(observers).not.toContain(first);
    const second = lab.other();
    expect(await second.processes(one.id)).toHaveLength(1);
    expect(await observers()).toHaveLength(2);
    await second.close?.();
    await expect.poll(observers).toHaveLength(1);
    await lab.engine.remove(one.id);
    expect(await observers()).toHaveLength(1);
    await lab.engine.remove(other.id);
    await expect.poll(observers).toEqual([]);
  });

  test('has signals sent to a command, and to nothing that is none of the sandbox', async () => {
    const spec = await lab.started();
    const script = 'trap "echo got it; exit 3" TERM; echo ready; while :; do sleep 0.1; done';
    const invocation = await lab.engine.attach(spec.id, {
      command: ['bash', '-c', script],
      tty: false,
      executionId: 'signalled',
    });
    const signals = invocation.args.at(-1) ?? '';
    expect(signals).toMatch(/\.sock$/);
    const carrier = spawnProcess(invocation.file, invocation.args, { env: invocation.env, stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    carrier.stdout?.on('data', (piece: Buffer) => {
      said += piece.toString('utf8');
    });
    await eventually(async () => (said.includes('ready') ? true : undefined), 30_000);
    // A command in the keeper, which is ours and no part of the sandbox, and one that never was.
    const keeper = await partOf(lab.context, spec.id, 'keeper');
    const strange = await newExec(lab.context, keeper?.id ?? '', { Cmd: ['sleep', '60'] });
    await client.must('POST', `/exec/${strange}/start`, { body: { Detach: true } });
    expect(await answerOf(signals, `${strange} 15\n`)).toBe('');
    expect(await answerOf(signals, `${'0'.repeat(64)} 15\n`)).toBe('');
    expect(fieldsOf(await client.must('GET', `/exec/${strange}/json`))['Running']).toBe(true);
    carrier.kill('SIGTERM');
    // Its output has been read to the end, which its exit is not told after.
    const [code] = await once(carrier, 'close');
    expect([said, code]).toEqual(['ready\ngot it\n', 3]);
    // As a process leaves it that was killed while it looked whether the engine shows this host's files.
    await writeFile(join(spec.workspace.path, `.casemate-shared-${spec.id}`), 'x');
    await lab.engine.remove(spec.id);
    expect(await readdir(spec.workspace.path)).not.toContainEqual(expect.stringContaining('.casemate'));
  });

  test('says before anything runs that a container there does not reach this host', async () => {
    // The daemon listens on another address of loopback.
    const unreached = await dockerLab('docker', { uplink: { network: 'host', host: '127.0.0.2' }, isElsewhere: true });
    try {
      const spec = await unreached.spec();
      await unreached.engine.create(spec);
      await expect(unreached.engine.ingress(spec.id, { tcp: [443], udp: [] })).rejects.toMatchObject({
        code: 'ENGINE_FAILED',
        message: expect.stringMatching(/no way to port \d+ of 127\.0\.0\.2: Connection refused/),
      });
    } finally {
      await unreached.remove();
    }
  });

  test('holds no sandbox that is to have containers inside, and says why', async () => {
    const spec = await lab.spec();
    const containers = { limits: spec.limits, volumes: lab.folder };
    await expect(lab.engine.create({ ...spec, containers })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('containers inside'),
    });
  });
});
