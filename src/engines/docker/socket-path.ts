import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Environment } from '../../system/environment.ts';

/** The socket of an engine that a test or a proof looks at itself. Where the product finds an engine stands in `place/`. */

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

/** Of Podman: `CONTAINER_HOST`, as Podman itself reads it, else the socket of root's or of this user's service. */
export function podmanSocketPath(env: Environment, uid: number): string {
  const host = env.get('CONTAINER_HOST');
  if (host === undefined) {
    return uid === 0 ? '/run/podman/podman.sock' : `${env.get('XDG_RUNTIME_DIR') ?? `/run/user/${uid}`}/podman/podman.sock`;
  }
  const path = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
  if (path === undefined) {
    throw new CasemateError('UNSUPPORTED', `CONTAINER_HOST is ${visible(host)}, and only Podman on this host is supported`, {
      hint: 'Write for example unix:///run/podman/podman.sock.',
    });
  }
  return path;
}
