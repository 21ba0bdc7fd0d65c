import type { DockerClient } from './docker-client.ts';

/** What the words of an engine are put together with. */
export interface DialectParts {
  readonly client: DockerClient;
  /** private folder of ours that Podman can read */
  readonly folder: string;
  /** whole environment of a program */
  readonly env: Readonly<Record<string, string>>;
}
