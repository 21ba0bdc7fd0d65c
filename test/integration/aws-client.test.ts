import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { bindCredential } from '../../src/credentials/bind.ts';
import { environmentOf } from '../../src/system/environment.ts';
import { connectProxy, type ConnectProxy } from '../helpers/connect-proxy.ts';
import { createLab, rule, sandboxId, type Lab } from '../helpers/gateway-lab.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';
import { signatureFault, type WireRequest } from '../helpers/verify-sigv4.ts';

/** The AWS command line with phantom keys: what it signs reaches AWS signed with the real ones. */

const run = promisify(execFile);
const real = {
  accessKeyId: 'AKIAREALREALREALREAL',
  secretAccessKey: 'realSecret/9f8e7d6c5b4a39281706+AAAA',
  sessionToken: undefined,
};
const isThere = await run('aws', ['--version']).then(
  () => true,
  () => {
    process.stderr.write('skipped: the AWS command line is not installed (Debian: awscli)\n');
    return false;
  },
);

const answers: Readonly<Record<string, string>> = {
  'dynamodb.eu-west-1.amazonaws.com': '{"TableNames":["t"]}',
  'bucket.s3.eu-west-1.amazonaws.com': '<ListBucketResult><Name>bucket</Name></ListBucketResult>',
};
const hosts = [
  'bucket.s3.eu-west-1.amazonaws.com',
  's3.eu-west-1.amazonaws.com',
  'bedrock-runtime.eu-west-1.amazonaws.com',
  'dynamodb.eu-west-1.amazonaws.com',
] as const;

describe.skipIf(!isThere)('the AWS command line', () => {
  let lab: Lab;
  let proxy: ConnectProxy;
  let folder = '';
  let variables: Record<string, string> = {};
  const sinks: Sink[] = [];
  const arrived: WireRequest[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'casemate-aws-'));
    const bound = await bindCredential(
      { name: 'aws', provider: 'aws', source: { kind: 'env', name: 'KEYS' }, header: undefined, variable: undefined },
      {
        sandboxId,
        installationKey: Buffer.alloc(32, 5),
        env: environmentOf({ KEYS: `${real.accessKeyId}:${real.secretAccessKey}` }),
        uid: 0,
      },
    );
    lab = await createLab({ rules: hosts.map((host) => rule(host, { credential: 'aws' })), credentials: [bound] });
    for (const host of hosts) {
      sinks.push(
        await sinkAt(lab, host, 443, {
          onlyHttp1: true,
          respond: (request, response, seen) => {
            const pieces: Buffer[] = [];
            request.on('data', (piece: Buffer) => pieces.push(piece));
            request.once('end', () => {
              const raw = request.rawHeaders;
              const fields = Array.from(
                { length: raw.length / 2 },
                (_, index) => [raw[index * 2] ?? '', raw[index * 2 + 1] ?? ''] as const,
              );
              arrived.push({ method: seen.method, target: seen.url, fields, body: Buffer.concat(pieces) });
              response.end(answers[host] ?? '{}');
            });
          },
        }),
      );
    }
    proxy = await connectProxy(lab);
    const bundle = join(folder, 'ca.pem');
    writeFileSync(bundle, lab.authority.certificatePem);
    variables = {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      HTTPS_PROXY: proxy.url,
      AWS_CA_BUNDLE: bundle,
      AWS_ACCESS_KEY_ID: bound.phantom,
      AWS_SECRET_ACCESS_KEY: bound.phantomPart('secret') ?? '',
      AWS_SESSION_TOKEN: bound.phantomPart('token') ?? '',
      AWS_DEFAULT_REGION: 'eu-west-1',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_MAX_ATTEMPTS: '1',
    };
  });
  afterAll(async () => {
    proxy.close();
    await lab.close();
    sinks.forEach((sink) => sink.close());
    rmSync(folder, { recursive: true, force: true });
  });

  async function aws(
    args: readonly string[],
    more: Record<string, string> = {},
  ): Promise<{ readonly stdout: string; readonly error: string }> {
    arrived.length = 0;
    return run('aws', [...args], { env: { ...variables, ...more }, timeout: 60_000 }).then(
      ({ stdout }) => ({ stdout, error: '' }),
      (error: { readonly stderr?: string }) => ({ stdout: '', error: error.stderr ?? 'it could not be started' }),
    );
  }

  test.each([
    ['lists tables of DynamoDB', ['dynamodb', 'list-tables']],
    [
      'asks Bedrock for an answer',
      ['bedrock-runtime', 'invoke-model', '--model-id', 'anthropic.claude-v1:0', '--body', 'e30=', '/dev/null'],
    ],
    ['puts an object into S3', ['s3api', 'put-object', '--bucket', 'bucket', '--key', 'a b/c+d.txt', '--body', '/etc/hostname']],
    ['lists a bucket by prefix', ['s3api', 'list-objects-v2', '--bucket', 'bucket', '--prefix', 'a b/ü+']],
  ])('%s, signed with the real keys', async (_, args) => {
    expect(await aws(args)).toMatchObject({ error: '' });
    expect(arrived.map((request) => signatureFault(request, real))).toEqual([undefined]);
    expect(JSON.stringify(arrived)).not.toContain('ASIACMPH');
  });

  test('with keys of its own it gets nowhere, and says why', async () => {
    const { error } = await aws(['dynamodb', 'list-tables'], {
      AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
      AWS_SESSION_TOKEN: '',
    });
    expect(arrived).toEqual([]);
    expect(error).toContain('foreign-key');
  });
});
