import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { readAwsChain } from '../../src/credentials/aws/aws-chain.ts';
import type { AwsAccess, AwsReading } from '../../src/credentials/aws/aws-reading.ts';
import { liveValue } from '../../src/credentials/live-value.ts';
import { environmentOf } from '../../src/system/environment.ts';

/** The order in which AWS keys are looked for, and what is asked of whom, with files of the test and answers of the test. */

const clock = { nowMs: () => Date.parse('2026-01-01T00:00:00Z'), monotonicMs: () => 0 };
let home: string;

interface Asked {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly way: 'direct' | 'gateway';
}

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'casemate-aws-'));
  await mkdir(join(home, '.aws', 'sso', 'cache'), { recursive: true });
});

afterEach(async () => {
  await rm(home, { recursive: true });
});

/** `answers`: by the beginning of the address; everything else does not answer. */
function access(variables: Record<string, string> = {}, answers: Record<string, string> = {}): AwsAccess & { asked: Asked[] } {
  const asked: Asked[] = [];
  return {
    asked,
    clock,
    uid: process.getuid?.() ?? 0,
    env: environmentOf({ HOME: home, PATH: '/usr/bin:/bin', ...variables }),
    async request(input, init) {
      const url = typeof input === 'string' ? input : '';
      const headers = Object.fromEntries(new Headers(init?.headers).entries());
      const body = typeof init?.body === 'string' ? init.body : '';
      asked.push({ url, method: init?.method ?? 'GET', headers, body, way: 'direct' });
      expect(init?.redirect).toBe('error');
      const { status, body: text } = answerTo(url, answers);
      return new Response(text, { status });
    },
    async send({ url, method, fields, body = '' }) {
      const headers = Object.fromEntries(new Headers(fields.map(([name, value]) => [name, value])).entries());
      asked.push({ url, method, headers, body, way: 'gateway' });
      return answerTo(url, answers);
    },
  };
}

function answerTo(url: string, answers: Record<string, string>): { status: number; body: string } {
  const key = Object.keys(answers).findLast((start) => url.startsWith(start));
  if (key === undefined) {
    throw new Error('no route');
  }
  const text = answers[key] ?? '';
  return text === '403' ? { status: 403, body: 'secret of the answer' } : { status: 200, body: text };
}

const shown = (reading: AwsReading | undefined) =>
  reading?.material.kind === 'aws'
    ? [reading.material.accessKeyId, reading.material.secretAccessKey.reveal(), reading.material.sessionToken?.reveal()]
    : undefined;

const config = (text: string) => writeFile(join(home, '.aws', 'config'), text);
const shared = (text: string) => writeFile(join(home, '.aws', 'credentials'), text);
const read = async (given: AwsAccess, profile?: string) => shown(await readAwsChain({ profile }, given));
const role = 'arn:aws:iam::111122223333:role/builder';
const assumed = `<AssumeRoleResponse><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role/secret+=</SecretAccessKey>
 <SessionToken>role-token</SessionToken><Expiration>2026-01-01T01:00:00Z</Expiration></Credentials></AssumeRoleResponse>`;

describe('the order', () => {
  test('variables come first, unless a profile is named', async () => {
    await shared(
      '[default]\naws_access_key_id=AKIAFILE\naws_secret_access_key=file\n[dev]\naws_access_key_id=AKIADEV\naws_secret_access_key=dev\n',
    );
    const variables = { AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'env', AWS_SESSION_TOKEN: 'token' };
    expect(await read(access(variables))).toEqual(['AKIAENV', 'env', 'token']);
    expect(await read(access({ ...variables, AWS_PROFILE: 'dev' }))).toEqual(['AKIADEV', 'dev', undefined]);
    expect(await read(access(variables), 'default')).toEqual(['AKIAFILE', 'file', undefined]);
    expect(await read(access())).toEqual(['AKIAFILE', 'file', undefined]);
  });

  test('a machine with nothing has nothing, and a profile that is not there is named', async () => {
    expect(await read(access())).toBeUndefined();
    const off = access({ AWS_EC2_METADATA_DISABLED: 'true' });
    expect(await read(off)).toBeUndefined();
    expect(off.asked).toEqual([]);
    await expect(read(access(), 'nosuch')).rejects.toThrow('there is no AWS profile "nosuch"');
    await expect(read(access(), '__proto__')).rejects.toThrow('there is no AWS profile');
  });

  test('the instance is asked by version 2 alone', async () => {
    const base = 'http://169.254.169.254/latest';
    const given = access(
      {},
      {
        [`${base}/api/token`]: 'imds-token',
        [`${base}/meta-data/iam/security-credentials/`]: 'my-role',
        [`${base}/meta-data/iam/security-credentials/my-role`]:
          '{"AccessKeyId":"ASIAINST","SecretAccessKey":"inst","Token":"t","Expiration":"2026-01-01T06:00:00Z"}',
      },
    );
    expect(await read(given)).toEqual(['ASIAINST', 'inst', 't']);
    expect(given.asked.map(({ method }) => method)).toEqual(['PUT', 'GET', 'GET']);
    expect(given.asked[2]?.headers['x-aws-ec2-metadata-token']).toBe('imds-token');
    expect(given.asked.map(({ way }) => way)).toEqual(['direct', 'direct', 'direct']);
  });

  test('the endpoint of a container gets its token, and must be near or HTTPS', async () => {
    const answer = '{"AccessKeyId":"ASIACONT","SecretAccessKey":"cont","Token":"t","Expiration":"2026-01-01T06:00:00Z"}';
    const relative = access({ AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/x' }, { 'http://169.254.170.2/v2/x': answer });
    expect(await read(relative)).toEqual(['ASIACONT', 'cont', 't']);
    await writeFile(join(home, 'token'), 'pod-token\n');
    const full = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://169.254.170.23/v1',
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(home, 'token'),
    };
    const pod = access(full, { 'http://169.254.170.23/v1': answer });
    expect(await read(pod)).toEqual(['ASIACONT', 'cont', 't']);
    expect(pod.asked[0]).toMatchObject({ way: 'direct', headers: { authorization: 'pod-token' } });
    const elsewhere = 'https://keys.example.com/v1';
    const far = access({ AWS_CONTAINER_CREDENTIALS_FULL_URI: elsewhere }, { [elsewhere]: answer });
    expect(await read(far)).toEqual(['ASIACONT', 'cont', 't']);
    expect(far.asked.map(({ way }) => way)).toEqual(['gateway']);
    for (const url of [
      'http://evil.example/',
      'http://169.254.170.2.evil.example/',
      'file:///etc/passwd',
      'http://169.254.169.254/',
    ]) {
      await expect(read(access({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url }))).rejects.toThrow('neither HTTPS nor');
    }
  });
});

describe('roles', () => {
  test('a role behind another profile is had by a call signed with its keys', async () => {
    await config(
      `[profile base]\naws_access_key_id=AKIABASE\naws_secret_access_key=base\n[profile build]\nrole_arn=${role}\nsource_profile=base\nregion=eu-west-1\nexternal_id=x1\n`,
    );
    const given = access({}, { 'https://sts.eu-west-1.amazonaws.com/': assumed });
    const reading = await readAwsChain({ profile: 'build' }, given);
    expect(shown(reading)).toEqual(['ASIAROLE', 'role/secret+=', 'role-token']);
    expect(reading?.expiresMs).toBe(Date.parse('2026-01-01T01:00:00Z'));
    const [call] = given.asked;
    expect(call?.headers['authorization']).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIABASE\/20260101\/eu-west-1\/sts\/aws4_request, SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}$/,
    );
    expect(new URLSearchParams(call?.body).get('RoleArn')).toBe(role);
    expect(new URLSearchParams(call?.body).get('ExternalId')).toBe('x1');
    expect(`${call?.body} ${JSON.stringify(call?.headers)}`).not.toContain('=base');
  });

  test('the address of the token service may be one of the configuration, or of a variable before it: TLS or this machine', async () => {
    const text = (endpoint: string) =>
      `[profile base]\naws_access_key_id=AKIABASE\naws_secret_access_key=base\n[profile build]\nrole_arn=${role}\nsource_profile=base\nregion=eu-west-1\nservices=own\n[services own]\nsts =\n  endpoint_url = ${endpoint}\n`;
    await config(text('https://sts.corp.example.com/sts'));
    const configured = access({}, { 'https://sts.corp.example.com/sts': assumed });
    expect((await read(configured, 'build'))?.[0]).toBe('ASIAROLE');
    expect(configured.asked.map(({ way }) => way)).toEqual(['gateway']);
    const variable = { AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:4566' };
    expect((await read(access(variable, { 'http://127.0.0.1:4566/': assumed }), 'build'))?.[0]).toBe('ASIAROLE');
    for (const bad of ['http://sts.corp.example.com/', 'file:///etc/passwd', 'nonsense', 'https://user@sts.example.com/']) {
      await config(text(bad));
      const given = access({}, { '': assumed });
      await expect(read(given, 'build')).rejects.toThrow('token service (STS) is not usable');
      expect(given.asked).toEqual([]);
    }
  });

  test('without a way out of the host no other one is taken', async () => {
    await config(`[default]\nrole_arn=${role}\ncredential_source=Environment\n`);
    const { send: _, ...without } = access(
      { AWS_PROFILE: 'default', AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'env' },
      { 'https://sts.us-east-1.amazonaws.com/': assumed },
    );
    await expect(read(without)).rejects.toThrow('the token service of AWS did not answer');
    expect(without.asked).toEqual([]);
  });

  test('circles, a missing source and a code of a device are told of', async () => {
    await config(
      `[profile a]\nrole_arn=${role}\nsource_profile=b\n[profile b]\nrole_arn=${role}\nsource_profile=a\n[profile c]\nrole_arn=${role}\n[profile d]\nrole_arn=${role}\nmfa_serial=x\nsource_profile=a\n`,
    );
    await expect(read(access(), 'a')).rejects.toThrow('a -> b -> a go in a circle');
    await expect(read(access(), 'c')).rejects.toThrow('no source of keys');
    await expect(read(access(), 'd')).rejects.toThrow('asks for a code of a device');
  });

  test('what the token service says is in no error', async () => {
    await config(`[default]\nrole_arn=${role}\ncredential_source=Environment\n`);
    const given = access(
      { AWS_PROFILE: 'default', AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'env' },
      { 'https://sts.us-east-1.amazonaws.com/': '403' },
    );
    const thrown = await read(given).catch((error: unknown) => error);
    expect(String(thrown)).toContain('answered with status 403');
    expect(String(thrown)).not.toContain('secret of the answer');
  });

  test('a web identity gives its token from a mounted file', async () => {
    await writeFile(join(home, 'token'), 'web-identity-token\n', { mode: 0o644 });
    const given = access(
      { AWS_WEB_IDENTITY_TOKEN_FILE: join(home, 'token'), AWS_ROLE_ARN: role, AWS_REGION: 'eu-north-1' },
      { 'https://sts.eu-north-1.amazonaws.com/': assumed },
    );
    expect(await read(given)).toEqual(['ASIAROLE', 'role/secret+=', 'role-token']);
    expect(new URLSearchParams(given.asked[0]?.body).get('WebIdentityToken')).toBe('web-identity-token');
    expect(given.asked[0]?.headers['authorization']).toBeUndefined();
  });
});

describe('sign-on and programs', () => {
  const settings = '[sso-session corp]\nsso_start_url=https://corp.example/start\nsso_region=eu-west-1\n';
  const cache = (expiresAt: string) =>
    writeFile(
      join(home, '.aws', 'sso', 'cache', `${createHash('sha1').update('corp').digest('hex')}.json`),
      JSON.stringify({ accessToken: 'sso-access', expiresAt }),
    );

  test('a session that lasts is used; one that has ended is not, and says what to run', async () => {
    await config(`${settings}[profile dev]\nsso_session=corp\nsso_account_id=1111\nsso_role_name=dev\n`);
    await cache('2026-01-01T02:00:00Z');
    const answer = JSON.stringify({
      roleCredentials: { accessKeyId: 'ASIASSO', secretAccessKey: 'sso', sessionToken: 't', expiration: 1_767_229_200_000 },
    });
    const given = access({}, { 'https://portal.sso.eu-west-1.amazonaws.com/federation/credentials': answer });
    expect(await read(given, 'dev')).toEqual(['ASIASSO', 'sso', 't']);
    expect(given.asked[0]).toMatchObject({ way: 'gateway', headers: { 'x-amz-sso_bearer_token': 'sso-access' } });
    await cache('2025-12-31T23:00:00Z');
    await expect(read(access(), 'dev')).rejects.toMatchObject({ hint: 'Run: aws sso login --profile dev' });
  });

  test('a program is started from words, and no shell reads its line', async () => {
    const file = join(home, 'keys.json');
    await writeFile(file, '{"Version":1,"AccessKeyId":"ASIAPROC","SecretAccessKey":"proc","SessionToken":"t"}');
    await config(
      `[profile p]\ncredential_process=cat "${file}"\n[profile q]\ncredential_process=printf %s $(touch ${join(home, 'made')})\n`,
    );
    expect(await read(access(), 'p')).toEqual(['ASIAPROC', 'proc', 't']);
    await expect(read(access(), 'q')).rejects.toThrow('gave no keys');
    await expect(rm(join(home, 'made'))).rejects.toThrow('ENOENT');
  });
});

test('session keys are renewed before they end, once for all who wait; a failed renewal keeps those that still last', async () => {
  let nowMs = 0;
  let count = 0;
  let fails = false;
  const value = liveValue(
    { name: 'aws', source: { kind: 'aws', profile: undefined } },
    {
      env: environmentOf({}),
      uid: 0,
      clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
      async readAws() {
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (fails) {
          throw new Error('no answer');
        }
        count += 1;
        const secretAccessKey = { reveal: () => `secret-${count}` };
        return {
          material: { kind: 'aws', accessKeyId: 'ASIA', secretAccessKey, sessionToken: undefined },
          expiresMs: nowMs + 3_600_000,
        };
      },
    },
  );
  await value.refresh();
  await Promise.all(Array.from({ length: 20 }, () => value.obtain()));
  expect(count).toBe(1);
  nowMs = 3_600_000 - 4 * 60_000;
  await Promise.all(Array.from({ length: 20 }, () => value.obtain()));
  expect(count).toBe(2);
  nowMs += 3_600_000 - 4 * 60_000;
  fails = true;
  expect((await value.obtain()).kind).toBe('aws');
  nowMs += 5 * 60_000;
  await expect(value.obtain()).rejects.toThrow('no answer');
});
