/** What every engine must do, whatever runs below it. Each engine's own test file hands in how to make one. */
import { spawn, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { isCasemateError } from '../../src/base/errors.ts';
import { newSandboxId } from '../../src/base/ids.ts';
import { isLayerName, layers } from '../../src/base/layers.ts';
import type { Engine, SandboxSpec } from '../../src/engines/engine.ts';

export interface EngineUnderTest {
  readonly engine: Engine;
  readonly owner: string;
  readonly spec: (changes?: Partial<SandboxSpec>) => Promise<SandboxSpec>;
  readonly remove: () => Promise<void>;
}

export interface ContractOptions {
  readonly runs: boolean;
  /** id of the agent inside. Default: 1000 */
  readonly agent?: number | undefined;
  /** its processes are another kernel's, and none of this host. Default: `false` */
  readonly isElsewhere?: boolean | undefined;
}

export function engineContract(
  name: string,
  make: () => Promise<EngineUnderTest>,
  { runs, agent = 1000, isElsewhere = false }: ContractOptions,
): void {
  describe(`the ${name} engine keeps the contract`, () => {
    let under: EngineUnderTest;
    let executions = 0;
    // An engine far from this host is given an image first, which is waited for as long (`import-image.ts`).
    beforeAll(
      async () => {
        under = await make();
      },
      isElsewhere ? 16 * 60_000 : undefined,
    );
    afterAll(async () => {
      await under.remove();
    });

    const codeOf = async (promise: Promise<unknown>): Promise<string> =>
      promise.then(
        () => 'none',
        (error: unknown) => (isCasemateError(error) ? error.code : String(error)),
      );
    const states = async (id: string): Promise<readonly string[]> =>
      (await under.engine.list(under.owner)).filter((entry) => entry.id === id).map(({ state }) => state);

    it('answers for each protection layer, once, with a reason', async () => {
      const reports = await under.engine.examine('runc');
      expect(reports.map(({ layer }) => layer).toSorted()).toEqual(Object.keys(layers).toSorted());
      expect(reports.every(({ layer, detail }) => isLayerName(layer) && detail.length > 0)).toBe(true);
    });

    it('leads a sandbox from created over running to gone, and lists each state', async () => {
      const { engine } = under;
      const spec = await under.spec();
      await engine.create(spec);
      expect(await states(spec.id)).toEqual(['created']);
      await engine.start(spec.id);
      expect(await states(spec.id)).toEqual(['running']);
      await engine.stop(spec.id, { graceMs: 0 });
      expect(await states(spec.id)).toEqual(['stopped']);
      await engine.remove(spec.id);
      expect(await states(spec.id)).toEqual([]);
    });

    it('starts a stopped sandbox again', async () => {
      const { engine } = under;
      const spec = await under.spec();
      await engine.create(spec);
      await engine.start(spec.id);
      await engine.stop(spec.id, { graceMs: 0 });
      await engine.start(spec.id);
      expect(await states(spec.id)).toEqual(['running']);
      await engine.remove(spec.id);
    });

    it('takes a second start, stop and removal as done, and removal of what never was', async () => {
      const { engine } = under;
      const spec = await under.spec();
      await engine.create(spec);
      await engine.start(spec.id);
      await engine.start(spec.id);
      await engine.stop(spec.id, { graceMs: 0 });
      await engine.stop(spec.id, { graceMs: 0 });
      await engine.remove(spec.id);
      await engine.remove(spec.id);
      await engine.stop(newSandboxId());
      await engine.remove(newSandboxId());
    });

    it('refuses a second sandbox of one id, also at the same moment', async () => {
      const { engine } = under;
      const spec = await under.spec();
      const codes = await Promise.all([codeOf(engine.create(spec)), codeOf(engine.create(spec))]);
      expect(codes.toSorted()).toEqual(['SANDBOX_WRONG_STATE', 'none']);
      expect(await states(spec.id)).toEqual(['created']);
      await engine.remove(spec.id);
    });

    it('lists only the sandboxes of the owner who asks', async () => {
      const { engine } = under;
      const mine = await under.spec();
      const theirs = { ...(await under.spec()), owner: 'somebody-else' };
      await engine.create(mine);
      await engine.create(theirs);
      expect((await engine.list(under.owner)).map(({ id }) => id)).toEqual([mine.id]);
      expect((await engine.list('somebody-else')).map(({ id }) => id)).toEqual([theirs.id]);
      await engine.remove(mine.id);
      await engine.remove(theirs.id);
    });

    it('says that it does not know a sandbox', async () => {
      const { engine } = under;
      const id = newSandboxId();
      const command = { command: ['true'], tty: false, executionId: 'x' };
      expect(await codeOf(engine.start(id))).toBe('SANDBOX_NOT_FOUND');
      expect(await codeOf(engine.ingress(id, { tcp: [], udp: [] }))).toBe('SANDBOX_NOT_FOUND');
      expect(await codeOf(engine.attach(id, command))).toBe('SANDBOX_NOT_FOUND');
    });

    it('runs nothing in a sandbox that does not run', async () => {
      const { engine } = under;
      const spec = await under.spec();
      await engine.create(spec);
      const command = { command: ['true'], tty: false, executionId: 'x' };
      expect(await codeOf(engine.attach(spec.id, command))).toBe('SANDBOX_WRONG_STATE');
      await engine.remove(spec.id);
    });

    it('makes nothing when the caller has given up', async () => {
      const spec = await under.spec();
      const reason = new Error('given up');
      await expect(under.engine.create(spec, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      expect(await states(spec.id)).toEqual([]);
    });

    it.runIf(runs)('names the process that holds a connection, and nobody where there is none', async () => {
      const { engine } = under;
      const spec = await under.spec();
      await engine.create(spec);
      const ingress = await engine.ingress(spec.id, { tcp: [8080], udp: [] });
      const { promise: arrived, resolve } = Promise.withResolvers<number>();
      ingress.serve({
        connection: ({ socket, remotePort }) => {
          socket.on('error', () => undefined);
          resolve(remotePort ?? socket.remotePort ?? 0);
        },
        datagram: () => undefined,
      });
      await engine.start(spec.id);
      const command = ['bash', '-c', 'exec -a the-sender bash -c "exec 3<>/dev/tcp/127.0.0.1/8080; sleep 20; true"'];
      const { file, args, env } = await engine.attach(spec.id, { command, tty: false, executionId: 'sender' });
      const sender = spawn(file, [...args], { env: { ...env }, stdio: 'ignore' });
      const localPort = await arrived;
      const held = await engine.processOf(spec.id, { localPort, remoteAddress: '127.0.0.1', remotePort: 8080 });
      expect(held?.command).toMatch(/^the-sender -c /);
      expect(await engine.processes(spec.id)).toEqual(isElsewhere ? [] : expect.arrayContaining([held?.pid]));
      expect(await engine.processOf(spec.id, { localPort, remoteAddress: '127.0.0.1', remotePort: 8081 })).toBeUndefined();
      await engine.stop(spec.id, { graceMs: 0 });
      expect(await engine.processOf(spec.id, { localPort, remoteAddress: '127.0.0.1', remotePort: 8080 })).toBeUndefined();
      await ingress.close();
      await engine.remove(spec.id);
      sender.kill('SIGKILL');
    });

    it('knows no sender in a sandbox that does not run', async () => {
      const connection = { localPort: 40_000, remoteAddress: '127.0.0.1', remotePort: 443 };
      expect(await under.engine.processOf(newSandboxId(), connection)).toBeUndefined();
    });

    it.runIf(runs)('passes arguments, streams, exit code, environment and folder through as they are', async () => {
      const { engine } = under;
      const spec = await under.spec();
      await engine.create(spec);
      await engine.start(spec.id);
      const call = async (
        command: readonly string[],
        options: { cwd?: string; env?: Record<string, string>; input?: string } = {},
      ) => {
        const { input, ...rest } = options;
        const { file, args, env } = await engine.attach(spec.id, {
          command,
          tty: false,
          executionId: `x${(executions += 1)}`,
          ...rest,
        });
        return spawnSync(file, [...args], { env: { ...env }, input: input ?? '', encoding: 'utf8' });
      };
      expect(await call(['printf', '%s', '$(id)'])).toMatchObject({ status: 0, stdout: '$(id)', stderr: '' });
      expect((await call(['sh', '-c', 'exit 37'])).status).toBe(37);
      expect((await call(['cat'], { input: 'in\0out' })).stdout).toBe('in\0out');
      expect((await call(['sh', '-c', 'echo $A; pwd; id -u'], { env: { A: 'b c' }, cwd: '/tmp' })).stdout).toBe(
        `b c\n/tmp\n${agent}\n`,
      );
      expect((await call(['sh', '-c', 'echo e >&2'])).stderr).toBe('e\n');
      const long = 'x'.repeat(800_000);
      expect((await call(['cat'], { input: long })).stdout === long).toBe(true);
      await engine.remove(spec.id);
    });

    it.runIf(runs)('leaves the streams open for whoever else has them, as a shell around the command does', async () => {
      const { engine } = under;
      const spec = await under.spec();
      await engine.create(spec);
      await engine.start(spec.id);
      const command = ['sh', '-c', 'cat; echo inside'];
      const { file, args, env } = await engine.attach(spec.id, { command, tty: false, executionId: `x${(executions += 1)}` });
      // What Node hands on as a pipe is a socket, which one of those who have it can shut down for all of them.
      const around = ['-c', '"$@"; cat; echo behind', 'sh', file, ...args];
      const { stdout, status } = spawnSync('sh', around, { env: { ...env }, input: 'given\n', encoding: 'utf8' });
      expect([stdout, status]).toEqual(['given\ninside\nbehind\n', 0]);
      await engine.remove(spec.id);
    });
  });
}
