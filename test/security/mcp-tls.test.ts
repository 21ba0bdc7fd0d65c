import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createAuthority, createLeafSigner } from '../../src/gateway/tls/authority.ts';
import { entry, makeHome, type Home } from '../helpers/cli.ts';
import { unusedPort } from '../helpers/unused-port.ts';

/** MCP over HTTP for others than this machine: with TLS, under its name, or not at all. */
describe('MCP over TLS', () => {
  let home: Home;
  let port = 0;
  let ca = '';
  const file = (name: string): string => join(home.root, name);

  beforeAll(async () => {
    home = await makeHome();
    port = await unusedPort();
    const authority = await createAuthority({ name: 'callers' });
    const [signer, other] = [await createLeafSigner(authority), await createLeafSigner(authority)];
    ca = authority.certificatePem;
    await writeFile(file('cert.pem'), await signer.sign('casemate.example.com'));
    await writeFile(file('key.pem'), signer.privateKeyPem, { mode: 0o600 });
    await writeFile(file('other.pem'), other.privateKeyPem, { mode: 0o600 });
  });
  afterAll(async () => {
    await home.remove();
  });

  const serve = async (...args: readonly string[]) =>
    await home.casemate(['mcp', 'serve', '--port', String(port), ...args], { timeoutMs: 30_000 });
  const tls = (key = 'key.pem'): readonly string[] => ['--tls-cert', file('cert.pem'), '--tls-key', file(key)];

  it('is refused beyond loopback without TLS, without a name, and with a key that is none', async () => {
    const beyond = ['--listen', '0.0.0.0', '--host', 'casemate.example.com'];
    await writeFile(file('open.pem'), 'x', { mode: 0o644 });
    const refused: [readonly string[], string][] = [
      [beyond, 'in clear'],
      [[...beyond, ...tls('other.pem')], 'do not go together'],
      [[...beyond, ...tls('open.pem')], 'can be read by others'],
    ];
    for (const [args, why] of refused) {
      const { code, err } = await serve(...args);
      expect(code, why).not.toBe(0);
      expect(err).toContain(why);
    }
  });

  it('serves those who have a token under its name, and no clear text', async () => {
    const token = (await home.casemate(['caller', 'add', 'ci', '--root', home.project])).out.trim();
    const args = [entry, 'mcp', 'serve', '--port', String(port), '--host', 'casemate.example.com', ...tls()];
    const server = spawn(process.execPath, args, { cwd: home.project, env: home.env, stdio: ['ignore', 'ignore', 'pipe'] });
    try {
      let said = '';
      for await (const piece of server.stderr) {
        said += String(piece);
        if (said.includes('/mcp')) {
          break;
        }
      }
      expect(said).toContain(`https://127.0.0.1:${port}/mcp`);
      const ask = async (headers: Readonly<Record<string, string>>): Promise<number> =>
        await new Promise((resolve, reject) => {
          const sent = request(
            { host: '127.0.0.1', port, path: '/mcp', method: 'POST', ca, servername: 'casemate.example.com', headers },
            (response) => {
              response.resume();
              resolve(response.statusCode ?? 0);
            },
          );
          sent.on('error', reject);
          sent.end('{}');
        });
      const host = `casemate.example.com:${port}`;
      expect(await ask({ host })).toBe(401);
      expect(await ask({ host, authorization: `Bearer ${token}` })).toBe(400);
      expect(await ask({ host: `other.example.com:${port}`, authorization: `Bearer ${token}` })).toBe(403);
      expect(await ask({ host, authorization: `Bearer ${token}`, origin: `https://${host}` })).toBe(403);
      await expect(fetch(`http://127.0.0.1:${port}/mcp`)).rejects.toThrow();
    } finally {
      server.kill('SIGTERM');
      await once(server, 'exit');
    }
  });
});
