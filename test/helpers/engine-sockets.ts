/** The sockets of the engines that tests start containers with. Where the product looks is in `src/engines/docker/place/`. */
import type { Environment } from '../../src/system/environment.ts';

/** `DOCKER_HOST`, else the usual socket. Throws where it names an engine that is not on this host. */
export function dockerSocketPath(env: Environment): string {
  return pathOf(env, 'DOCKER_HOST') ?? '/var/run/docker.sock';
}

/** `CONTAINER_HOST`, as Podman reads it, else the socket of root's or of this user's service. Throws as `dockerSocketPath`. */
export function podmanSocketPath(env: Environment, uid: number): string {
  const runtimeFolder = uid === 0 ? '/run' : (env.get('XDG_RUNTIME_DIR') ?? `/run/user/${uid}`);
  return pathOf(env, 'CONTAINER_HOST') ?? `${runtimeFolder}/podman/podman.sock`;
}

function pathOf(env: Environment, variable: string): string | undefined {
  const host = env.get(variable);
  const path = host === undefined ? undefined : /^unix:\/\/(\/.+)$/.exec(host)?.[1];
  if (host !== undefined && path === undefined) {
    throw new Error(`${variable} is ${host}, and the tests need an engine on this host, for example unix:///run/engine.sock`);
  }
  return path;
}
