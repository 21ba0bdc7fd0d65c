import { join } from 'node:path';

import { CasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';
import type { Environment } from '../../../system/environment.ts';
import { readTextIfPresent } from '../../../system/files.ts';
import { fieldsOf, textOf } from '../read-json.ts';
import { endpointOf, unsupported, type Endpoint } from './endpoint.ts';
import { named, unnamed, type Place } from './places.ts';

/**
 * Where Podman's service is, in the order of its remote client (podman(1), podman-system-connection(1)): `CONTAINER_HOST`,
 * `CONTAINER_CONNECTION`, the connection that is the default, and the socket of root's or of this user's service.
 */
export async function podmanPlaces(env: Environment, uid: number): Promise<readonly Place[]> {
  const host = env.get('CONTAINER_HOST');
  const chosen = env.get('CONTAINER_CONNECTION');
  const identity = env.get('CONTAINER_SSHKEY');
  const runtime = env.get('XDG_RUNTIME_DIR') ?? `/run/user/${uid}`;
  const usual = uid === 0 ? '/run/podman/podman.sock' : `${runtime}/podman/podman.sock`;
  return [
    host === undefined
      ? unnamed('CONTAINER_HOST', 'not set')
      : named('CONTAINER_HOST', () =>
          endpointOf(host, { source: 'CONTAINER_HOST', client: 'podman', identity: keyOf(identity) }),
        ),
    chosen === undefined
      ? unnamed('CONTAINER_CONNECTION', 'not set')
      : await connectionPlace('CONTAINER_CONNECTION', env, chosen),
    await connectionPlace('podman system connection', env, undefined),
    named(`socket ${usual}`, () => ({ kind: 'unix', path: usual })),
  ];
}

interface Connection {
  readonly uri: string;
  readonly identity?: string | undefined;
}

interface Connections {
  readonly byName: ReadonlyMap<string, Connection>;
  readonly main: string | undefined;
}

/** `chosen`: a name; `undefined`: the one that is the default. */
async function connectionPlace(strategy: string, env: Environment, chosen: string | undefined): Promise<Place> {
  try {
    const { byName, main } = await connections(env);
    const name = chosen ?? main;
    if (name === undefined) {
      return unnamed(strategy, 'none is the default');
    }
    const connection = byName.get(name);
    return named(`${strategy} (${visible(name)})`, () => endpointIn(name, connection));
  } catch (error) {
    return named(strategy, () => {
      throw error;
    });
  }
}

function endpointIn(name: string, connection: Connection | undefined): Endpoint {
  const source = `the connection ${visible(name)}`;
  if (connection === undefined) {
    throw unsupported(`there is no ${source.slice(4)} of Podman's`, 'podman system connection ls shows those there are.');
  }
  return endpointOf(connection.uri, { source, client: 'podman', identity: keyOf(connection.identity) });
}

function keyOf(identity: string | undefined): string | undefined {
  return identity === undefined || identity === '' || !identity.startsWith('/') ? undefined : identity;
}

/** Podman 5 has a file of its own for them; before, they stand in its settings. */
async function connections(env: Environment): Promise<Connections> {
  const home = env.get('HOME');
  const config = env.get('XDG_CONFIG_HOME') ?? (home === undefined ? undefined : join(home, '.config'));
  const [newer, older] = ['podman-connections.json', 'containers.conf'].map((name) =>
    config === undefined ? undefined : join(config, 'containers', name),
  );
  const own = env.get('PODMAN_CONNECTIONS_CONF') ?? newer;
  const text = own === undefined ? undefined : await readTextIfPresent(own);
  if (text !== undefined) {
    return inDocument(text, own ?? '');
  }
  const settings = env.get('CONTAINERS_CONF') ?? older;
  return inSettings((settings === undefined ? undefined : await readTextIfPresent(settings)) ?? '');
}

function inDocument(text: string, path: string): Connections {
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch (cause) {
    throw new CasemateError('UNSUPPORTED', `${visible(path)} is not valid`, {
      cause,
      hint: 'Podman wrote it; mend it or remove it.',
    });
  }
  const { Default, Connections: all } = fieldsOf(fieldsOf(told)['Connection']);
  const rows = Object.entries(fieldsOf(all)).map(([name, row]) => {
    const { URI, Identity } = fieldsOf(row);
    return [name, { uri: textOf(URI), identity: textOf(Identity) }] as const;
  });
  return { byName: new Map(rows), main: textOf(Default) === '' ? undefined : textOf(Default) };
}

/** Pure: as much of TOML as Podman writes there, a string in double quotes on one line. */
export function inSettings(text: string): Connections {
  const byName = new Map<string, Connection>();
  let main: string | undefined;
  let table = '';
  for (const row of text.split('\n').map((one) => one.trim())) {
    table = /^\[([^[\]]+)\]$/.exec(row)?.[1]?.trim() ?? table;
    const [, key, value = ''] = /^(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"/.exec(row) ?? [];
    const name = destination(table);
    if (table === 'engine' && key === 'active_service') {
      main = value;
    }
    if (name !== undefined && (key === 'uri' || key === 'identity')) {
      byName.set(name, { uri: '', ...byName.get(name), [key]: value });
    }
  }
  return { byName, main };
}

/** Name of the connection that a table is of. */
function destination(table: string): string | undefined {
  const [, quoted, bare] = /^engine\.service_destinations\.(?:"([^"]+)"|([\w-]+))$/.exec(table) ?? [];
  return quoted ?? bare;
}
