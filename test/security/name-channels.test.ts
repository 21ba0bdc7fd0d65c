import { randomBytes } from 'node:crypto';

import { afterEach, expect, test } from 'vitest';

import { createLab, rule, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

/** GWP-31, SEC-15: names below a wildcard and paths of a registry carry little out, and all of it is on record. */

let lab: Lab;
let sinks: Sink[] = [];
afterEach(async () => {
  await lab.close();
  sinks.forEach((sink) => sink.close());
  sinks = [];
});

/** What is added every minute would let one more through on a busy machine. */
const gateway = { limits: { wildcardCharactersPerMinute: 0, unknownPathCharactersPerMinute: 0 } };
const random = (): string => randomBytes(30).toString('hex');

test('GWP-31: of fifty random names below a wildcard few are dialled, and all are on record', async () => {
  lab = await createLab({ rules: [rule('*.wild.example.com')], gateway });
  const hosts = Array.from({ length: 50 }, () => `${random()}.wild.example.com`);
  for (const host of hosts) {
    const port = await lab.open(host, 443);
    await tlsTo(port, host, { ca: lab.authority.certificatePem }).catch(() => undefined);
  }
  await lab.settled();
  expect(lab.lookups.length).toBe(17);
  await expect
    .poll(
      () =>
        lab.entries
          .filter(({ outcome }) => outcome === 'too-many-names')
          .reduce((sum, { detail }) => sum + Number(detail?.['repeated'] ?? 1), 0),
      {
        timeout: 20_000,
      },
    )
    .toBe(33);
});

test('GWP-31: requests that are judged are bounded alike, and a name that is known stays free', async () => {
  lab = await createLab({ rules: [rule('*.wild.example.com', { http: [{ methods: ['GET'], path: '/**' }] })], gateway });
  const hosts = Array.from({ length: 20 }, () => `${random()}.wild.example.com`);
  const ask = async (host: string): Promise<string> => {
    const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
    return (await talk(socket, [`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`], { quietMs: 5000 })).text;
  };
  sinks = await Promise.all(hosts.map((host) => sinkAt(lab, host, 443)));
  const answers: string[] = [];
  for (const host of hosts) {
    answers.push(await ask(host));
  }
  expect(answers.filter((text) => text.includes('200 OK')).length).toBe(17);
  expect(answers.at(-1)).toContain('429');
  expect(answers.at(-1)).toContain('too many different names were used below *.wild.example.com (too-many-names)');
  expect(await ask(hosts[0] ?? '')).toContain('200 OK');
}, 120_000);

test('SEC-15: a registry is read, not written to; what it does not know is asked for a little and then no more', async () => {
  const host = 'registry.example.com';
  lab = await createLab({ rules: [rule(host, { registry: 'npm' })], gateway });
  sinks = [
    await sinkAt(lab, host, 443, {
      respond: (request, response) => {
        response.statusCode = request.url === '/lodash' ? 200 : 404;
        response.end('{}');
      },
    }),
  ];
  const port = await lab.open(host, 443);
  const ask = async (method: string, path: string, fields = '', body = ''): Promise<string> => {
    const socket = await tlsTo(port, host, { ca: lab.authority.certificatePem });
    const { text } = await talk(
      socket,
      [`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}Connection: close\r\n\r\n${body}`],
      {
        quietMs: 5000,
      },
    );
    return text.slice(9, 12);
  };
  expect(await ask('GET', '/lodash', 'Authorization: Bearer somebody-elses\r\nCookie: a=b\r\n')).toBe('200');
  expect(JSON.stringify(sinks[0]?.seen)).not.toMatch(/somebody-elses|a=b/);
  expect(
    await Promise.all([
      ask('PUT', '/pkg'),
      ask('POST', '/-/npm/v1/security/audits'),
      ask('DELETE', '/pkg/-rev/1'),
      ask('GET', '/-/npm/v1/tokens'),
    ]),
  ).toEqual(['403', '403', '403', '403']);
  expect(await ask('GET', '/lodash', 'Content-Length: 4\r\n', 'data')).toBe('403');
  expect(sinks[0]?.seen.length).toBe(1);
  const answers: string[] = [];
  for (let count = 0; count < 50; count += 1) {
    answers.push(await ask('GET', `/${randomBytes(20).toString('hex')}`));
  }
  expect(answers.filter((status) => status === '404').length).toBe(25);
  expect(answers.at(-1)).toBe('429');
  expect(await ask('GET', '/lodash')).toBe('200');
  expect(sinks[0]?.seen.every(({ method }) => method === 'GET')).toBe(true);
}, 120_000);
