import { describe, expect, it } from 'vitest';

import { envValues } from '../../../src/sandbox/project/env-secrets.ts';
import { readLock } from '../../../src/sandbox/project/lock-files.ts';
import { ownTime } from '../../helpers/own-time.ts';

describe('secrets in env files', () => {
  const values = (text: string): readonly string[] => envValues(text, '.env').map(({ value, label }) => `${label}: ${value}`);

  it('are the values of variables that are named for one, and values that look like keys', () => {
    expect(
      values(
        [
          '# a comment with TOKEN=nothing',
          'API_KEY=sk_live_1',
          'export DB_PASSWORD="a \\"b\\" c"',
          "GITHUB_TOKEN='ghp_x'  ",
          'PLAIN=hello',
          'SOMETHING=f47ac10b58cc4372a5670e02b2c3d479',
          'PORT=3000',
          'SECRET=x # why',
        ].join('\r\n'),
      ),
    ).toEqual([
      'API_KEY in .env: sk_live_1',
      'DB_PASSWORD in .env: a "b" c',
      'GITHUB_TOKEN in .env: ghp_x',
      'SOMETHING in .env: f47ac10b58cc4372a5670e02b2c3d479',
      'SECRET in .env: x',
    ]);
  });

  it('of an address only the password is one, and what is meant for everybody is none', () => {
    expect(
      values(
        'DATABASE_URL=postgres://me:p%40ss@db.example/x\nAPI_URL=https://api.example.com/v1\nNEXT_PUBLIC_KEY=abc123abc123abc123abc123',
      ),
    ).toEqual(['DATABASE_URL in .env: p%40ss', 'DATABASE_URL in .env: p@ss']);
  });

  it('words about a secret, and about who wrote the project, are none', () => {
    const plain = [
      'AUTHOR="Jane Smith-Jones"',
      'GIT_AUTHOR_NAME=jane-smith-jones',
      'AUTH_PROVIDER=google-oauth2-provider',
      'JWT_SIGNING_ALGORITHM=RSASSA-PKCS1-v1_5',
      'PASSWORD_POLICY=minimum-eight-characters',
      'AUTH_DOMAIN=my-tenant.eu.auth.example',
      'SECRET_NAME=production/database',
    ];
    expect(values(plain.join('\n'))).toEqual([]);
    expect(
      values('HTTP_AUTH=jane:correct-horse\nAUTHORIZATION=Digest battery-staple\nTOKEN_NAME=f47ac10b58cc4372a5670e02b2c3d479'),
    ).toEqual([
      'HTTP_AUTH in .env: jane:correct-horse',
      'AUTHORIZATION in .env: Digest battery-staple',
      'TOKEN_NAME in .env: f47ac10b58cc4372a5670e02b2c3d479',
    ]);
  });

  it('of a private key the lines of its body are', () => {
    const lines = Array.from({ length: 6 }, (_, index) => String(index).repeat(64));
    const text = `KEY="-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----"`;
    expect(values(text)).toEqual(lines.slice(1, 5).map((line) => `KEY in .env: ${line}`));
  });
});

describe('versions in lock files', () => {
  it.each([
    [
      'package-lock.json',
      JSON.stringify({
        lockfileVersion: 3,
        packages: {
          '': { name: 'self', version: '1.0.0' },
          'node_modules/alpha': { version: '1.2.3' },
          'node_modules/a/node_modules/@s/b': { version: '2.0.0' },
          'node_modules/alias': { name: 'real', version: '3.0.0' },
          'packages/linked': { link: true },
        },
      }),
      ['npm:alpha@1.2.3', 'npm:@s/b@2.0.0', 'npm:real@3.0.0'],
    ],
    [
      'npm-shrinkwrap.json',
      JSON.stringify({ dependencies: { a: { version: '1.0.0', dependencies: { b: { version: '2.0.0' } } } } }),
      ['npm:a@1.0.0', 'npm:b@2.0.0'],
    ],
    [
      'yarn.lock',
      'alpha@^1.0.0, alpha@^1.1.0:\n  version "1.2.3"\n  resolved "x"\n\n"@s/b@npm:^2.0.0":\n  version: 2.0.0\n  resolution: "@s/b@npm:2.0.0"\n',
      ['npm:alpha@1.2.3', 'npm:@s/b@2.0.0'],
    ],
    [
      'pnpm-lock.yaml',
      "lockfileVersion: '9.0'\npackages:\n  alpha@1.2.3:\n    resolution: {integrity: x}\n  '@s/b@2.0.0(alpha@1.2.3)':\n    resolution: {integrity: y}\n  /old/3.0.0:\n    resolution: {}\n",
      ['npm:alpha@1.2.3', 'npm:@s/b@2.0.0', 'npm:old@3.0.0'],
    ],
    [
      'Pipfile.lock',
      JSON.stringify({ default: { Some_Pkg: { version: '==1.0' } }, develop: { b: { version: '==2' } } }),
      ['pypi:some-pkg@1.0', 'pypi:b@2'],
    ],
    [
      'requirements.txt',
      'Some.Pkg[extra]==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nloose==2.0\nranged>=1\nlast==3.0 --hash=sha256:cc\n',
      ['pypi:some-pkg@1.0', 'pypi:last@3.0'],
    ],
    [
      'poetry.lock',
      '[[package]]\nname = "Some_Pkg"\nversion = "1.0"\n\n[[package]]\nname = "b"\nversion = "2.0"\n\n[metadata]\nversion = "9"\n',
      ['pypi:some-pkg@1.0', 'pypi:b@2.0'],
    ],
  ] as const)('%s', (name, text, expected) => {
    expect(readLock(name, text)).toEqual(expected);
  });

  it('a file that cannot be read gives nothing', () => {
    for (const name of ['package-lock.json', 'pnpm-lock.yaml', 'Pipfile.lock', 'uv.lock', 'yarn.lock']) {
      expect(readLock(name, '{"packages": [&a *a')).toEqual([]);
    }
  });
});

describe('files that somebody wrote to keep their reader busy', () => {
  const many = 200_000;
  const deepLock = (): string => {
    const widest = Array.from({ length: many / 8 }, (_, index) => `"p${index}":{"version":"1"}`).join(',');
    return `${'{"dependencies":{"a":'.repeat(1500)}{"dependencies":{${widest}}}${'}}'.repeat(1500)}`;
  };
  it.each([
    ['an env file of blanks', () => envValues(`A_KEY=x${' '.repeat(many)}y`, '.env')],
    ['an env file of signs of comments', () => envValues(`A_KEY=x${'#'.repeat(many)}y`, '.env')],
    ['requirements of empty lines', () => readLock('requirements.txt', '\n'.repeat(many))],
    ['requirements of open brackets', () => readLock('requirements.txt', 'a[\n'.repeat(many))],
    ['requirements that go on and on', () => readLock('requirements.txt', 'a==1 \\\n'.repeat(many))],
    ['a lock of yarn that is one line', () => readLock('yarn.lock', `a@${':'.repeat(many)}`)],
    ['a lock of yarn without versions', () => readLock('yarn.lock', `a@x:\n${'  z\n'.repeat(many)}`.repeat(2))],
    ['a lock of npm of deep dependencies', () => readLock('package-lock.json', deepLock())],
    ['a lock of uv of open quotes', () => readLock('uv.lock', `[[package]]\n${'name = "a\n'.repeat(many)}`)],
    [
      'a lock of pnpm as large as that of a large project',
      () => readLock('pnpm-lock.yaml', `packages:\n${'  a@1.0.0:\n    resolution: {integrity: x}\n'.repeat(many / 4)}`),
    ],
  ])('%s is read in no time', (_, read) => {
    const spent = ownTime();
    read();
    expect(spent()).toBeLessThan(1500);
  });
});
