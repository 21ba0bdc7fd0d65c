import type { DockerClient } from './docker-client.ts';

/** The parts from which the request to an engine is built. */
export interface DialectParts {
  readonly client: DockerClient;
  /** private folder of ours that Podman can read */
  readonly folder: string;
  /** whole environment of a program */
  readonly env: Readonly<Record<string, string>>;
}
