import { createHash } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';
import type { Environment } from '../../../system/environment.ts';
import { readTextIfPresent } from '../../../system/files.ts';
import { fieldsOf, textOf, type Fields } from '../read-json.ts';
import { endpointOf, tlsFilesIn, unsupported, type Endpoint, type TlsFiles } from './endpoint.ts';
import { named, unnamed, type Place } from './places.ts';

/**
 * Where a Docker Engine is, in the order of Docker's own client (docs.docker.com/engine/manage-resources/contexts):
 * `DOCKER_HOST`, `DOCKER_CONTEXT`, the context that `docker context use` chose, and the usual sockets.
 */
export async function dockerPlaces(env: Environment): Promise<readonly Place[]> {
  const folder = env.get('DOCKER_CONFIG') ?? (env.get('HOME') === undefined ? undefined : join(env.get('HOME') ?? '', '.docker'));
  return [
    hostPlace(env, folder),
    await contextPlace('DOCKER_CONTEXT', async () => env.get('DOCKER_CONTEXT'), folder),
    await contextPlace('docker context use', async () => currentContext(folder), folder),
    await socketPlace(env),
  ];
}

function hostPlace(env: Environment, folder: string | undefined): Place {
  const host = env.get('DOCKER_HOST');
  const certificates = env.get('DOCKER_CERT_PATH') ?? folder;
  // An empty value counts as absent, as with Docker; `DOCKER_TLS` alone would mean TLS with anybody.
  const verifies = env.get('DOCKER_TLS_VERIFY') !== undefined && certificates !== undefined;
  const tls = verifies ? tlsFilesIn(certificates) : undefined;
  return host === undefined
    ? unnamed('DOCKER_HOST', 'not set')
    : named('DOCKER_HOST', () => endpointOf(host, { source: 'DOCKER_HOST', client: 'docker', tls }));
}

async function contextPlace(
  strategy: string,
  which: () => Promise<string | undefined>,
  folder: string | undefined,
): Promise<Place> {
  let endpoint: Endpoint | undefined;
  let name: string | undefined;
  try {
    name = await which();
    if (name === undefined || name === 'default') {
      return unnamed(strategy, name === undefined ? 'not set' : 'says default');
    }
    endpoint = await contextEndpoint(name, folder);
  } catch (error) {
    return named(strategy, () => {
      throw error;
    });
  }
  const found = endpoint;
  return named(`${strategy} (${visible(name)})`, () => found);
}

/** Nothing else of that file is looked at: it can hold logins. */
async function currentContext(folder: string | undefined): Promise<string | undefined> {
  const told = folder === undefined ? undefined : await readJson(join(folder, 'config.json'));
  const name = textOf(told?.['currentContext']);
  return name === '' ? undefined : name;
}

/** The folder of a context has the SHA-256 of its name (docker/cli, `cli/context/store`). */
async function contextEndpoint(name: string, folder: string | undefined): Promise<Endpoint> {
  const source = `the context ${visible(name)}`;
  const digest = createHash('sha256').update(name).digest('hex');
  const contexts = join(folder ?? '/nonexistent', 'contexts');
  const meta = await readJson(join(contexts, 'meta', digest, 'meta.json'));
  const docker = fieldsOf(fieldsOf(meta?.['Endpoints'])['docker']);
  const host = textOf(docker['Host']);
  if (meta === undefined || textOf(meta['Name']) !== name || host === '') {
    throw unsupported(
      `there is no ${source.slice(4)} of Docker's, or it names no engine`,
      'docker context ls shows those there are.',
    );
  }
  if (docker['SkipTLSVerify'] === true && host.startsWith('tcp:')) {
    throw unsupported(
      `${source} does not look at who answers (skip-tls-verify)`,
      'Make it anew with the certificate of its authority.',
    );
  }
  const files = await present(tlsFilesIn(join(contexts, 'tls', digest, 'docker')));
  // Without any certificate it is plain TCP to Docker's client, too.
  const tls = Object.keys(files).length === 0 ? undefined : files;
  return endpointOf(host, { source, client: 'docker', tls });
}

async function present(files: Required<TlsFiles>): Promise<TlsFiles> {
  const rows = await Promise.all(
    Object.entries(files).map(async ([name, path]) => ((await exists(path ?? '')) ? [[name, path] as const] : [])),
  );
  return Object.fromEntries(rows.flat());
}

/** The socket of the service, of an ordinary user's, of Docker Desktop: the first that is there, else the first. */
async function socketPlace(env: Environment): Promise<Place> {
  const [run, home] = [env.get('XDG_RUNTIME_DIR'), env.get('HOME')];
  const paths = [
    '/var/run/docker.sock',
    ...(run === undefined ? [] : [join(run, 'docker.sock')]),
    ...(home === undefined ? [] : [join(home, '.docker/run/docker.sock'), join(home, '.docker/desktop/docker.sock')]),
  ];
  const there = await Promise.all(paths.map(exists));
  const path = paths[Math.max(0, there.indexOf(true))] ?? '';
  return named(`socket ${path}`, () => ({ kind: 'unix', path }));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function readJson(path: string): Promise<Fields | undefined> {
  const text = await readTextIfPresent(path);
  try {
    return text === undefined ? undefined : fieldsOf(JSON.parse(text));
  } catch (cause) {
    throw new CasemateError('UNSUPPORTED', `${visible(path)} is not valid`, {
      cause,
      hint: 'Docker wrote it; mend it or remove it.',
    });
  }
}
