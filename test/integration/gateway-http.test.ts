import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { connect as http2Connect } from 'node:http2';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canary, createLab, credential, phantom, rule, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Respond, type Sink } from '../helpers/sink.ts';

const execute = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'casemate-gateway-'));
const bundle = join(folder, 'ca.pem');

let lab: Lab;
let keyed: Sink;
let opaque: Sink;
let respond: Respond | undefined;

beforeAll(async () => {
  lab = await createLab({
    rules: [
      rule('keyed.example.com', { credential: 'anthropic' }),
      rule('opaque.example.com'),
      rule('plain.example.com', { ports: [80] }),
      rule('functions.example.com', { http: [{ methods: ['GET', 'HEAD', 'POST'], path: '/ok/**' }] }),
    ],
    credentials: [credential()],
  });
  writeFileSync(bundle, lab.authority.certificatePem + lab.upstreamAuthority.certificatePem);
  const by: Respond = (request, response, seen) =>
    respond === undefined
      ? void request.once('end', () => response.end(`hello from ${seen.host} ${seen.url}\n`))
      : respond(request, response, seen);
  keyed = await sinkAt(lab, 'keyed.example.com', 443, { respond: by });
  opaque = await sinkAt(lab, 'opaque.example.com', 443);
});
afterAll(async () => {
  await lab.close();
  keyed.close();
  opaque.close();
});

async function curl(host: string, path: string, ...args: string[]): Promise<string> {
  const port = path.startsWith(':80') ? 80 : 443;
  const target = await lab.open(host, port);
  const url = `${port === 80 ? 'http' : 'https'}://${host}${path.replace(/^:80/, '')}`;
  const { stdout } = await execute('curl', [
    '-sS',
    '-i',
    '-m',
    '50',
    '--cacert',
    bundle,
    '--connect-to',
    `${host}:${port}:127.0.0.1:${target}`,
    ...args,
    url,
  ]);
  return stdout;
}

describe('curl', () => {
  test.each([
    ['--http1.1', '1.1'],
    ['--http2', '2.0'],
  ])('with %s reaches an opened host, which gets the key once and the same version', async (option, version) => {
    respond = undefined;
    const answer = await curl(
      'keyed.example.com',
      '/v1/messages?beta=true',
      option,
      '-H',
      `x-api-key: ${phantom}`,
      '-d',
      'question',
    );
    expect(answer).toContain('hello from keyed.example.com /v1/messages?beta=true');
    expect(keyed.seen.at(-1)).toMatchObject({ version, method: 'POST', body: 'question', headers: { 'x-api-key': canary } });
  });

  test.each(['--http1.1', '--http2'])('with %s passes through to a host that is not opened', async (option) => {
    expect(await curl('opaque.example.com', '/x', option)).toContain('hello from opaque.example.com /x');
  });

  test('reaches a plain host', async () => {
    const plain = await sinkAt(lab, 'plain.example.com', 80, { plain: true });
    expect(await curl('plain.example.com', ':80/a?b=c')).toContain('hello from plain.example.com /a?b=c');
    plain.close();
  });

  test.each(['--http1.1', '--http2'])('with %s is told what was denied and what to do', async (option) => {
    const text = await curl('denied.example.com', '/secret?token=x', option);
    expect(text).toMatch(/^HTTP\/\S+ 403/);
    expect(text).toContain('x-casemate-denied: host-not-allowed');
    expect(text).toContain('GET https://denied.example.com/secret\n');
    expect(text).not.toContain('token=x');
    expect(text).toContain('casemate policy propose denied.example.com');
    const json = await curl('denied.example.com', '/x', option, '-H', 'accept: application/json');
    expect(JSON.parse(json.split('\r\n\r\n')[1] ?? '')).toMatchObject({
      type: 'error',
      error: { code: 'host-not-allowed', host: 'denied.example.com', port: 443, method: 'GET', path: '/x' },
    });
  });

  test('gets only the functions that are allowed', async () => {
    const functions = await sinkAt(lab, 'functions.example.com', 443);
    expect(await curl('functions.example.com', '/ok/1')).toMatch(/^HTTP\/\S+ 200/);
    expect(await curl('functions.example.com', '/ok/1', '-I')).toMatch(/^HTTP\/\S+ 200/);
    for (const [path, ...args] of [
      ['/no'],
      ['/ok/1', '-X', 'DELETE'],
      ['/ok/../no', '--path-as-is'],
      ['/ok/%2e%2e/no', '--path-as-is'],
      ['/ok//..%2fno', '--path-as-is'],
    ] as const) {
      expect(await curl('functions.example.com', path, ...args), path).toContain('function-not-allowed');
    }
    expect(functions.seen.map(({ url }) => url)).toEqual(['/ok/1', '/ok/1']);
    functions.close();
  });

  test('uploads after a 100-continue, and is refused before it sends when it may not', async () => {
    const file = join(folder, 'upload');
    writeFileSync(file, randomBytes(300_000));
    respond = undefined;
    const fine = await curl('keyed.example.com', '/up', '--http1.1', '-H', 'Expect: 100-continue', '--data-binary', `@${file}`);
    expect(fine).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/);
    const refused = await curl(
      'denied.example.com',
      '/up',
      '--http1.1',
      '-H',
      'Expect: 100-continue',
      '--data-binary',
      `@${file}`,
    );
    expect(refused).toMatch(/^HTTP\/1\.1 403/);
    expect(await curl('keyed.example.com', '/up', '--http1.1', '-H', 'Expect: magic')).toMatch(/^HTTP\/1\.1 417/);
  });

  test('a refused upload without expectation still sees its answer', async () => {
    const file = join(folder, 'upload2');
    writeFileSync(file, randomBytes(600_000));
    for (const option of ['--http1.1', '--http2']) {
      expect(await curl('denied.example.com', '/up', option, '-H', 'Expect:', '--data-binary', `@${file}`)).toMatch(
        /^HTTP\/\S+ 403/,
      );
    }
  });
});

describe('streams', () => {
  test.each(['1.1', '2'])('server-sent events over HTTP/%s come one by one, not held back', async (version) => {
    let seen = '';
    respond = async (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let index = 0; index < 4; index += 1) {
        response.write(`data: ${index} sk-ant-\n\n`);
        // The next one is not sent before this one was seen at the other end.
        await expect.poll(() => seen, { timeout: 20_000 }).toContain(`data: ${index} `);
      }
      response.end();
    };
    const target = await lab.open('keyed.example.com', 443);
    const { stdout } = await new Promise<{ stdout: string }>((resolve, reject) => {
      const child = execFile(
        'curl',
        [
          '-sS',
          '-N',
          '-m',
          '30',
          version === '2' ? '--http2' : '--http1.1',
          '--cacert',
          bundle,
          '--connect-to',
          `keyed.example.com:443:127.0.0.1:${target}`,
          'https://keyed.example.com/sse',
        ],
        (error, stdout) => (error ? reject(error) : resolve({ stdout })),
      );
      child.stdout?.on('data', (piece: string) => (seen += piece));
    });
    expect(stdout).toBe([0, 1, 2, 3].map((index) => `data: ${index} sk-ant-\n\n`).join(''));
  });

  test.each(['1.1', '2'])('the head of an answer over HTTP/%s comes before its content does', async (version) => {
    const { promise: hasCome, resolve: come } = Promise.withResolvers<unknown>();
    respond = (_request, response) => {
      response.writeHead(200, { 'x-early': 'yes' });
      response.flushHeaders();
      void hasCome.then(() => response.end('late'));
    };
    const socket = await tlsTo(await lab.open('keyed.example.com', 443), 'keyed.example.com', {
      ca: lab.authority.certificatePem,
      ...(version === '2' ? { alpn: ['h2'] } : {}),
    });
    // Its content waits for it, so that one that was held back would never come.
    if (version === '2') {
      const session = http2Connect('https://keyed.example.com', { createConnection: () => socket });
      await new Promise((resolve) => session.request({ ':path': '/' }).on('response', resolve));
      come(undefined);
      session.destroy();
    } else {
      socket.write('GET / HTTP/1.1\r\nHost: keyed.example.com\r\n\r\n');
      await new Promise((resolve) => socket.once('data', resolve));
      come(undefined);
    }
    socket.destroy();
  });

  test.each([
    ['HTTP/1.1', '--http1.1'],
    ['HTTP/2', '--http2'],
  ])('large bodies arrive whole both ways over %s', async (_name, option) => {
    const body = randomBytes(5_000_000);
    const file = join(folder, 'large');
    writeFileSync(file, body);
    const hash = createHash('sha256');
    respond = (request, response) => {
      request.on('data', (piece: Buffer) => {
        hash.update(piece);
        response.write(piece);
      });
      request.on('end', () => response.end());
    };
    const out = join(folder, 'out');
    await curl('keyed.example.com', '/echo', option, '--data-binary', `@${file}`, '-o', out);
    const { readFileSync } = await import('node:fs');
    const answer = readFileSync(out);
    expect(answer.subarray(answer.indexOf('\r\n\r\n', answer.length - body.length - 20) + 4).equals(body)).toBe(true);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(body).digest('hex'));
  });

  test('DOS-15: an answer nobody reads is not read from the upstream either', async () => {
    let sent = 0;
    respond = (_request, response) => {
      const piece = Buffer.alloc(256 * 1024, 'x');
      const more = (): void => {
        while (sent < 400e6 && !response.destroyed) {
          sent += piece.length;
          if (!response.write(piece)) {
            response.once('drain', more);
            return;
          }
        }
        response.end();
      };
      more();
    };
    const socket = await tlsTo(await lab.open('keyed.example.com', 443), 'keyed.example.com', {
      ca: lab.authority.certificatePem,
    });
    socket.pause();
    socket.write('GET /big HTTP/1.1\r\nHost: keyed.example.com\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(sent).toBeLessThan(60e6);
    socket.destroy();
  });

  test('many requests over one connection of HTTP/2 run side by side', async () => {
    let [held, most] = [0, 0];
    respond = (request, response) => {
      held += 1;
      most = Math.max(most, held);
      setTimeout(() => {
        held -= 1;
        response.end(request.url);
      }, 50);
    };
    const socket = await tlsTo(await lab.open('keyed.example.com', 443), 'keyed.example.com', {
      ca: lab.authority.certificatePem,
      alpn: ['h2'],
    });
    const session = http2Connect('https://keyed.example.com', { createConnection: () => socket });
    const get = (path: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const stream = session.request({ ':path': path });
        let text = '';
        stream
          .setEncoding('utf8')
          .on('data', (piece) => (text += piece))
          .on('end', () => resolve(text))
          .on('error', reject);
      });
    const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => get(`/${index}`)));
    expect(answers).toEqual(Array.from({ length: 40 }, (_, index) => `/${index}`));
    expect(most).toBeGreaterThan(10);
    session.destroy();
  });
});

test('a kept-alive connection to the upstream is used again', async () => {
  respond = undefined;
  const own = await createLab({ rules: [rule('again.example.com', { credential: 'anthropic' })], credentials: [credential()] });
  const sink = await sinkAt(own, 'again.example.com', 443);
  const socket = await tlsTo(await own.open('again.example.com', 443), 'again.example.com', { ca: own.authority.certificatePem });
  const answer = await talk(socket, [
    'GET /1 HTTP/1.1\r\nHost: again.example.com\r\n\r\n',
    'GET /2 HTTP/1.1\r\nHost: again.example.com\r\n\r\n',
    'GET /3 HTTP/1.1\r\nHost: again.example.com\r\nConnection: close\r\n\r\n',
  ]);
  expect(answer.text.match(/hello from/g)).toHaveLength(3);
  expect(sink.connections()).toBe(1);
  sink.close();
  await own.close();
});
