/** Which engine someone's environment leads to, in a form that can be compared. */
export interface EngineChoice {
  /** `false`: nothing names one, and it is where such engines usually are */
  readonly isNamed: boolean;
  /** by which it was found, e.g. `DOCKER_HOST` */
  readonly strategy: string;
  /** as it is shown; of what cannot be used, why */
  readonly address: string;
  /** the same for the same engine, reached the same way */
  readonly key: string;
  /** how it has its sandboxes' traffic carried, where that is not the usual way */
  readonly way?: string | undefined;
}

/** What names an engine, whoever's home it is. */
export const engineVariables = [
  'DOCKER_HOST',
  'DOCKER_CONTEXT',
  'DOCKER_CONFIG',
  'DOCKER_TLS_VERIFY',
  'DOCKER_CERT_PATH',
  'CONTAINER_HOST',
  'CONTAINER_CONNECTION',
  'CONTAINER_SSHKEY',
  'CONTAINERS_CONF',
  'PODMAN_CONNECTIONS_CONF',
  'CASEMATE_DOCKER_UPLINK',
  'CASEMATE_DOCKER_KERNEL',
] as const;

/** What decides it, beside files in the home folder. */
export const choosingVariables = ['HOME', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME', ...engineVariables] as const;

/** Where neither names one, both mean the usual one, whichever of its sockets each of them sees. Pure. */
export function isSameChoice(one: EngineChoice, other: EngineChoice): boolean {
  return one.way === other.way && (one.key === other.key || (!one.isNamed && !other.isNamed));
}

/** One line: whose engine is which, where they differ. Pure. */
export function differenceOf(name: string, ofDaemon: EngineChoice, ofCaller: EngineChoice): string {
  const said = ({ strategy, address, way }: EngineChoice): string =>
    `${address} (by ${strategy}${way === undefined ? '' : `; ${way}`})`;
  return `the daemon that runs uses ${name} at ${said(ofDaemon)}, and here ${said(ofCaller)} is meant`;
}

export const differenceHint =
  'Run: casemate daemon stop, then this again: the next daemon uses the engine that is meant where it is started. ' +
  'Or name the same engine here.';
