import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { entry, makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startMcpHttp, type McpHttp } from '../helpers/mcp-http.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** An interpreter with the package `mcp` (2.x): `pip install mcp`. */
const python = process.env['CASEMATE_TEST_PYTHON'] ?? 'python3';
const hasClient = spawnSync(python, ['-c', 'from mcp import Client']).status === 0;
const patience = { timeout: 60_000 };

/** A client in another language drives three sandboxes side by side, and the daemon is killed in the middle. */
describe.skipIf(!hasClient || !engineOrSkip('oci', await wholeWayLacks()))('the Python client', () => {
  let home: Home;
  let http: McpHttp;
  let token = '';

  beforeAll(async () => {
    home = await makeHome();
    http = await startMcpHttp(home);
    token = await http.add('projects');
  });
  afterAll(async () => {
    await http.close();
    await home.remove();
  });

  async function driven(kind: 'stdio' | 'http', server: object): Promise<void> {
    const projects = ['one', 'two', 'three'].map((name) => join(http.rootOf('projects'), `${kind}-${name}`));
    await Promise.all(projects.map(async (path) => await mkdir(path, { recursive: true })));
    const program = join(import.meta.dirname, '../helpers/three-projects.py');
    const child = spawn(python, [program, kind, JSON.stringify(server), ...projects], { env: { ...home.env } });
    let said = '';
    child.stdout.on('data', (piece: Buffer) => (said += piece.toString('utf8')));
    child.stderr.on('data', (piece: Buffer) => (said += piece.toString('utf8')));
    const ended = once(child, 'close');
    try {
      // All three are at work at the same time.
      for (const project of projects) {
        await expect.poll(() => existsSync(join(project, 'began.txt')) || said.includes('Error'), patience).toBe(true);
      }
      const { daemon } = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out) as { daemon: { pid: number } };
      const { pid } = daemon;
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => existsSync(`/proc/${pid}`), patience).toBe(false);
      await Promise.all(projects.map(async (project) => await writeFile(join(project, 'go'), '')));
      expect(await ended, said).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');
    }
    const lines = said
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines[0]?.['tools']).toContain('execute_in_session');
    for (const project of projects) {
      expect(lines.find((line) => line['project'] === project && 'stdout' in line)).toMatchObject({
        stdout: 'began\nended began\n1000\n',
        code: 0,
        logs: 1,
      });
      expect(await readFile(join(project, 'began.txt'), 'utf8')).toBe('began\n');
    }
    expect(JSON.parse((await home.casemate(['ls', '--json'])).out)).toEqual([]);
  }

  it('over standard input and output', async () => {
    const args = [entry, 'mcp', '--root', http.rootOf('projects'), '--caller', 'python'];
    await driven('stdio', { command: process.execPath, args, env: home.env });
  }, 240_000);

  it('over HTTP, with a token', async () => {
    await driven('http', { url: String(http.url), token });
  }, 240_000);
});
