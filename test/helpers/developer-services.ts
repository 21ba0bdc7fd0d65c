import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';

import { run } from '../../src/system/process.ts';
import { listen } from './gateway-lab.ts';
import { serveGit } from './git-backend.ts';
import type { Serve } from './internet.ts';
import { signatureFault, type Keys } from './verify-sigv4.ts';

/** The services that a developer uses, as stand-ins that take the real values alone: GitHub, npm, AWS, a page. */
export interface Services {
  /** by host name */
  readonly sites: Readonly<Record<string, Serve>>;
  /** what was wrong with each signed request, by service */
  readonly signed: Readonly<Record<'sts' | 'dynamodb', readonly (string | undefined)[]>>;
  /** paths of the page that were asked for */
  readonly guide: readonly string[];
  /** answers of npm that have begun and do not end */
  readonly slow: () => number;
  /** From now on GitHub takes this token, and no other. */
  readonly takes: (token: string) => void;
  /** git in the repository of the server */
  readonly git: (...args: readonly string[]) => Promise<string>;
  readonly close: () => void;
}

export const github = {
  first: 'ghp_REALrealREALrealREALrealREALrealRE01',
  second: 'ghp_REALrealREALrealREALrealREALrealRE02',
} as const;
export const npm = 'npm_REALrealREALrealREALrealREALrealRE03';
/** the keys of a person, who may only take on a role */
export const person: Keys = { accessKeyId: 'AKIAREALREALREALREAL', secretAccessKey: 'realSecret/9f8e7d6c5b4a39281706+PERS' };
export const role = {
  accessKeyId: 'ASIAREALREALREALROLE',
  secretAccessKey: 'realSecret/60718293a4b5c6d7e8f9+ROLE',
  sessionToken: `realSession${'9f8e7d6c5b4a'.repeat(12)}==`,
} as const satisfies Keys;
export const region = 'eu-west-1';
export const table = `dynamodb.${region}.amazonaws.com`;
export const sample = 'export const greeting = "helo";\n';

const packed = { name: 'left-alone', version: '1.0.0' };
const env = { PATH: '/usr/bin:/bin' };

export const basic = (token: string): string => Buffer.from(`x-access-token:${token}`).toString('base64');

/** `folder`: for their data; in `userHome` the configuration of AWS is written, with the profile `work`. */
export async function startServices({ folder, userHome }: { folder: string; userHome: string }): Promise<Services> {
  const repositories = join(folder, 'repositories');
  const bare = join(repositories, 'me/work.git');
  await makeRepository(bare, join(folder, 'seed'));
  const tarball = await makePackage(folder);
  const signed: Record<'sts' | 'dynamodb', (string | undefined)[]> = { sts: [], dynamodb: [] };
  const tokenService = createServer(serveAws(person, { faults: signed.sts, answer: assumed() }));
  await writeAwsConfig(userHome, await listen(tokenService));
  const guide: string[] = [];
  const slow: ServerResponse[] = [];
  let token: string = github.first;
  return {
    signed,
    guide,
    slow: () => slow.length,
    takes: (next) => void (token = next),
    git: async (...args) => await git(['-C', bare, ...args]),
    sites: {
      'github.com': (request, response) => {
        if (request.headers.authorization === `Basic ${basic(token)}`) {
          serveGit(request, response, repositories);
        } else {
          response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
        }
      },
      'npm.example.com': serveNpm(tarball, slow),
      [table]: serveAws(role, { faults: signed.dynamodb, answer: '{"TableNames":["orders"]}' }),
      'docs.example.com': (request, response) => {
        guide.push(request.url ?? '');
        response.end('the guide\n');
      },
    },
    close() {
      tokenService.close();
      tokenService.closeAllConnections();
      slow.forEach((response) => response.destroy());
    },
  };
}

function serveNpm(tarball: Buffer, slow: ServerResponse[]): Serve {
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
  const dist = { tarball: 'https://npm.example.com/left-alone/-/left-alone-1.0.0.tgz', integrity };
  const document = { name: packed.name, 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': { ...packed, dist } } };
  return (request, response) => {
    if (request.headers.authorization !== `Bearer ${npm}`) {
      response.writeHead(401).end();
    } else if (request.url === '/slow') {
      slow.push(response);
      response.write('the first piece\n');
    } else if (request.url?.endsWith('.tgz') === true) {
      response.end(tarball);
    } else {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(document));
    }
  };
}

function serveAws(keys: Keys, { faults, answer }: { readonly faults: (string | undefined)[]; readonly answer: string }): Serve {
  return (request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.once('end', () => {
      const { method = '', url = '', rawHeaders: raw } = request;
      const fields = Array.from({ length: raw.length / 2 }, (_, at) => [raw[at * 2] ?? '', raw[at * 2 + 1] ?? ''] as const);
      const fault = signatureFault({ method, target: url, fields, body: Buffer.concat(pieces) }, keys);
      faults.push(fault);
      response.writeHead(fault === undefined ? 200 : 403).end(fault ?? answer);
    });
  };
}

/** What the token service says of the role. */
function assumed(): string {
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const keys = `<AccessKeyId>${role.accessKeyId}</AccessKeyId><SecretAccessKey>${role.secretAccessKey}</SecretAccessKey>`;
  const session = `<SessionToken>${role.sessionToken}</SessionToken><Expiration>${until}</Expiration>`;
  return `<AssumeRoleResponse><AssumeRoleResult><Credentials>${keys}${session}</Credentials></AssumeRoleResult></AssumeRoleResponse>`;
}

async function writeAwsConfig(userHome: string, port: number): Promise<void> {
  const folder = join(userHome, '.aws');
  await mkdir(folder);
  const profile = `[profile work]\nrole_arn = arn:aws:iam::111122223333:role/builder\nsource_profile = me\nregion = ${region}\n`;
  const service = `services = own\n[services own]\nsts =\n  endpoint_url = http://127.0.0.1:${port}/\n`;
  await writeFile(join(folder, 'config'), profile + service);
  const keys = `[me]\naws_access_key_id = ${person.accessKeyId}\naws_secret_access_key = ${person.secretAccessKey}\n`;
  await writeFile(join(folder, 'credentials'), keys, { mode: 0o600 });
}

async function git(args: readonly string[]): Promise<string> {
  return (await run('git', args, { env })).stdout.toString('utf8');
}

async function makeRepository(bare: string, seed: string): Promise<void> {
  await git(['init', '-q', '--bare', '-b', 'main', bare]);
  await git(['init', '-q', '-b', 'main', seed]);
  await writeFile(join(seed, 'greeting.js'), sample);
  await git(['-C', seed, 'add', '.']);
  await git(['-C', seed, '-c', 'user.name=a', '-c', 'user.email=a@example.com', 'commit', '-q', '-m', 'first']);
  await git(['-C', seed, 'push', '-q', bare, 'main']);
}

async function makePackage(folder: string): Promise<Buffer> {
  await mkdir(join(folder, 'package'));
  await writeFile(join(folder, 'package/package.json'), JSON.stringify(packed));
  await run('tar', ['-czf', join(folder, 'p.tgz'), '-C', folder, 'package'], { env });
  return await readFile(join(folder, 'p.tgz'));
}
