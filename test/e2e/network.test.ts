import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { exampleSite, keyInEnvironment as env, realKey, type ExampleSite } from '../helpers/example-site.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('the network of a sandbox', () => {
  let home: Home;
  let site: ExampleSite;

  beforeAll(async () => {
    home = await makeHome();
    site = await exampleSite(home, { allow: 'GET /v1/**' });
    expect(await home.casemate(['create', 'net'], { env })).toMatchObject({ code: 0 });
    expect(await home.casemate(['start', 'net'], { env })).toMatchObject({ code: 0 });
  });

  afterAll(async () => {
    site.close();
    await home.remove();
  });

  const inside = async (script: string) => await home.casemate(['exec', 'net', '--', 'sh', '-c', script]);

  it('reaches an allowed function with the real key put in outside, and sees only the phantom', async () => {
    const { out } = await inside(
      'echo "$EXAMPLE_KEY"; curl -sS -H "Authorization: Bearer $EXAMPLE_KEY" https://api.example.com/v1/x',
    );
    const [phantom = '', answer = ''] = out.split('\n');
    expect(phantom).toContain('cmph_');
    expect(site.seen.at(-1)).toMatchObject({ path: '/v1/x', authorization: `Bearer ${realKey}` });
    expect(answer).toMatch(/^hello Bearer /);
    expect(out).not.toContain(realKey);
  });

  it.each(['curl', 'node', 'python3', 'git'])('is trusted by %s without a proxy variable', async (tool) => {
    const scripts: Record<string, string> = {
      curl: 'curl -sS https://api.example.com/v1/curl',
      node: `node -e 'fetch("https://api.example.com/v1/node").then((r) => r.text()).then((t) => process.stdout.write(t))'`,
      python3: `python3 -c 'import urllib.request as u; print(u.urlopen("https://api.example.com/v1/python3").read().decode())'`,
      git: 'git ls-remote https://api.example.com/v1/git 2>&1; true',
    };
    const before = site.seen.length;
    const { err } = await inside(scripts[tool] ?? 'false');
    expect(err).toBe('');
    expect(
      site.seen
        .slice(before)
        .map(({ path }) => path)
        .join(),
    ).toContain(`/v1/${tool}`);
  });

  it('explains a denial so that a person and an agent understand it', async () => {
    const web = await inside(
      'curl -sS https://denied.example.org/x; echo; curl -sS -H "accept: application/json" http://denied.example.org/',
    );
    expect(web.out).toContain('denied.example.org');
    expect(web.out).toContain('casemate policy propose denied.example.org');
    const path = await inside('curl -sS -w "%{http_code}" https://api.example.com/admin');
    expect(path.out).toMatch(/403$/);
    const before = site.seen.length;
    await inside('curl -sS -X POST https://api.example.com/v1/x');
    expect(site.seen).toHaveLength(before);
  });

  it("refuses the caller's own key", async () => {
    const before = site.seen.length;
    const { out } = await inside('curl -sS -w "%{http_code}" -H "Authorization: Bearer attacker" https://api.example.com/v1/x');
    expect(out).toMatch(/403$/);
    expect(site.seen).toHaveLength(before);
  });

  it('has no other route: addresses, IPv6, UDP and other interfaces fail at once', async () => {
    const script = `
import socket, errno, time
def t(f, k, a):
    s = socket.socket(f, k); s.settimeout(3); b = time.time()
    try: s.connect(a) if k == socket.SOCK_STREAM else s.sendto(b"x", a); r = "OPEN"
    except OSError as e: r = errno.errorcode.get(e.errno, str(e))
    return r + (" slow" if time.time() - b > 2.5 else "")
print(t(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.10", 443)))
print(t(socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80)))
print(t(socket.AF_INET, socket.SOCK_STREAM, ("10.0.0.1", 22)))
print(t(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.10", 53)))
`;
    const { out } = await home.casemate(['exec', 'net', '--', 'python3', '-c', script]);
    expect(out.trim().split('\n')).toEqual(['ENETUNREACH', 'ENETUNREACH', 'ENETUNREACH', 'ENETUNREACH']);
  });

  it('records each exchange once, allowed and denied', async () => {
    await inside('curl -sS https://api.example.com/v1/once-only; curl -sS https://never-before.example.org/ > /dev/null');
    const query = async (action: string): Promise<string> =>
      (await home.casemate(['journal', 'query', '--sandbox', 'net', '--action', action, '--json'])).out;
    // It is written once the last byte has gone, which the client may have seen.
    await expect.poll(() => query('net.exchange'), { timeout: 30_000 }).toContain('once-only');
    await expect.poll(() => query('net.'), { timeout: 30_000 }).toContain('never-before.example.org');
    const out = await query('net.exchange');
    expect(out.match(/once-only/g)).toHaveLength(1);
    expect(out).not.toContain(realKey);
    expect(await home.casemate(['journal', 'verify'])).toMatchObject({ code: 0 });
  });

  it('fails clearly when the key has no source', async () => {
    const { code, err } = await home.casemate(['create', 'nokey']);
    expect({ code, err }).toMatchObject({ code: 125, err: expect.stringContaining('EXAMPLE_KEY') });
  });
});
