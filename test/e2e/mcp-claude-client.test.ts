import { copyFile, chmod, link, mkdir, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { agents } from '../../src/agents/agents.ts';
import { makePhantom } from '../../src/credentials/phantom.ts';
import { providers } from '../../src/credentials/providers.ts';
import { imageStore } from '../../src/images/stored/store.ts';
import { run } from '../../src/system/process.ts';
import { startModelApi, type ModelApi } from '../../src/tour/model-api/model-api.ts';
import type { Script } from '../../src/tour/model-api/script.ts';
import { entry, makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** The real Claude Code outside any sandbox drives sandboxes over MCP; the model is a stand-in that only knows the tools. */
describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['base', 'claude'])))('Claude Code as a client of ours', () => {
  let home: Home;
  let folder = '';
  let program = '';
  let api: ModelApi;
  const phantom = makePhantom(providers.anthropic.phantom, {
    sandboxId: 'cm-0123456789abcdef',
    credentialName: 'anthropic',
    installationKey: Buffer.alloc(32, 3),
  });

  beforeAll(async () => {
    home = await makeHome();
    folder = await mkdtemp(join(home.root, 'client-'));
    const image = await imageStore({ folder: home.paths.images }).find('claude');
    const rootfs = image?.rootfs ?? '';
    const given = join(rootfs, await readlink(join(rootfs, agents.claude.program)));
    program = join(folder, 'claude');
    await link(given, program).catch(async () => await copyFile(given, program));
    await chmod(folder, 0o755);
  });
  afterAll(async () => {
    await api.close();
    await home.remove();
    await rm(folder, { recursive: true, force: true });
  });

  it('makes a sandbox for each of three projects, runs a command in each, and ends them', async () => {
    const projects = ['one', 'two', 'three'].map((name) => join(home.root, 'projects', name));
    await Promise.all(projects.map(async (path) => await mkdir(path, { recursive: true })));
    const seen: string[] = [];
    const idIn = (text: string): string => /cm-[0-9a-f]{16}/.exec(text)?.[0] ?? 'none';
    const ids: string[] = [];
    const tool = (name: string, input: object) => ({
      say: `I call ${name}.`,
      act: { kind: 'tool', name: `mcp__casemate__${name}`, input: { ...input } } as const,
    });
    const script: Script = (outcomes) => {
      const step = outcomes.length;
      seen.splice(0, seen.length, ...outcomes.map(({ text }) => text));
      ids.splice(0, ids.length, ...outcomes.slice(0, 3).map(({ text }) => idIn(text)));
      if (step < 3) {
        return tool('create_session', { projectPath: projects[step], agent: 'none' });
      }
      if (step < 6) {
        return tool('execute_command', { sessionId: ids[step - 3], command: 'echo from $(basename $(pwd)) > made.txt; id -u' });
      }
      if (step < 9) {
        return tool('destroy_session', { sessionId: ids[step - 6] });
      }
      return { say: 'All three are done.', act: undefined };
    };
    api = await startModelApi({ expectedKey: phantom, script });
    const userHome = join(folder, 'home');
    for (const file of agents.claude.homeFiles({ permissions: 'ask', telemetry: false, phantom })) {
      await mkdir(dirname(join(userHome, file.path)), { recursive: true });
      await writeFile(join(userHome, file.path), file.content, { mode: file.mode });
    }
    const config = {
      mcpServers: {
        casemate: {
          command: process.execPath,
          args: [entry, 'mcp', '--root', join(home.root, 'projects')],
          env: { ...home.env, HOME: userHome },
        },
      },
    };
    await writeFile(join(folder, 'mcp.json'), JSON.stringify(config));
    const args = ['-p', '--permission-mode', 'default', '--output-format', 'json', '--strict-mcp-config'];
    const more = ['--mcp-config', join(folder, 'mcp.json'), '--allowedTools', 'mcp__casemate', '--', 'Use the sandboxes.'];
    const ended = await run(program, [...args, ...more], {
      cwd: join(home.root, 'projects'),
      env: {
        ...agents.claude.env({ permissions: 'ask', telemetry: false, phantom }),
        HOME: userHome,
        PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
        TERM: 'dumb',
        ANTHROPIC_API_KEY: phantom,
        ANTHROPIC_BASE_URL: api.url,
      },
      timeoutMs: 170_000,
    });
    const said = `${ended.stdout.toString('utf8')}\n${ended.stderr.toString('utf8')}\n${seen.join('\n')}`;
    expect(said).toContain('All three are done.');
    expect(new Set(ids).size).toBe(3);
    for (const [index, path] of projects.entries()) {
      expect(await readFile(join(path, 'made.txt'), 'utf8'), said).toBe('from workspace\n');
      expect(seen[3 + index]).toContain('1000');
    }
    expect(JSON.parse((await home.casemate(['ls', '--json'])).out)).toEqual([]);
  }, 240_000);
});
