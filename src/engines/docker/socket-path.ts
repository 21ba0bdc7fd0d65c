import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Environment } from '../../system/environment.ts';

/** Which engine is meant: that of this host, and no other. */

const usual = '/var/run/docker.sock';

/** Where the engine listens: `DOCKER_HOST`, else the usual socket. Throws `UNSUPPORTED` for an engine that is not on this host. */
export function socketPath(env: Environment): string {
  const host = env.get('DOCKER_HOST');
  if (host === undefined) {
    return usual;
  }
  const path = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
  if (path === undefined) {
    throw new CasemateError('UNSUPPORTED', `DOCKER_HOST is ${visible(host)}, and only an engine on this host is supported yet`, {
      hint: 'Write for example unix:///var/run/docker.sock, or use the engine oci.',
    });
  }
  return path;
}
