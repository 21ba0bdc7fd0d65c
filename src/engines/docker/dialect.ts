import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { privateFolder, replaceFile } from '../../system/files.ts';
import type { ContainerBody } from './container-bodies.ts';
import type { DialectParts } from './dialect-parts.ts';
import { segment } from './docker-client.ts';
import { differences } from './read-back.ts';
import { leftOut } from './left-out.ts';
import { podmanDifferences } from './podman-read-back.ts';
import { podmanSpec } from './podman-spec.ts';
import { podmanTold } from './podman-told.ts';
import { fieldsOf, rowsOf, textOf } from './read-json.ts';

/** How a container is requested and inspected: the only part that differs between Docker and Podman. */
export interface Dialect {
  /** Answers the container's id, and what the engine left out. */
  readonly make: (name: string, body: ContainerBody) => Promise<Made>;
  /** Of a container that was started: what the engine says of it, and names of what is not as asked. */
  readonly look: (id: string, body: ContainerBody) => Promise<Looked>;
}

export interface Made {
  readonly id: string;
  readonly warnings: readonly string[];
}

export interface Looked {
  /** answer to `inspect` */
  readonly told: unknown;
  readonly differences: readonly string[];
}

export type Product = 'Docker' | 'Podman';

export function dialectOf(product: Product, parts: DialectParts): Dialect {
  return product === 'Podman' ? podmanDialect(parts) : dockerDialect(parts);
}

function dockerDialect({ client }: DialectParts): Dialect {
  return {
    make: async (name, body) => made(await client.must('POST', '/containers/create', { query: { name }, body }), body),
    async look(id, body) {
      const told = await client.must('GET', `/containers/${segment(id)}/json`);
      return { told, differences: differences(body, told) };
    },
  };
}

function podmanDialect({ client, folder, env }: DialectParts): Dialect {
  return {
    async make(name, body) {
      const seccompFile = join(folder, 'system-calls.json');
      await privateFolder(folder);
      await replaceFile(seccompFile, seccompText(body));
      const spec = podmanSpec(name, body, { seccompFile, processes: await ownProcesses() });
      return made(await client.must('POST', '/libpod/containers/create', { body: spec }), body);
    },
    async look(id, body) {
      const told = await podmanTold({ client, env }, id);
      const differing = told.configuration === undefined ? ['OCIConfigPath'] : podmanDifferences(body, told);
      return { told: told.inspected, differences: differing };
    },
  };
}

/** As many as there are numbers for, or as the caller may have: Podman has set the first for itself. */
async function ownProcesses(): Promise<number> {
  const [limits, all] = await Promise.all(['self/limits', 'sys/kernel/pid_max'].map((name) => readFile(`/proc/${name}`, 'utf8')));
  const hard = /^Max processes +\S+ +(\d+)/m.exec(limits ?? '')?.[1];
  return Math.min(Number(hard ?? all), Number(all));
}

function made(answer: unknown, body: ContainerBody): Made {
  return { id: textOf(fieldsOf(answer)['Id']), warnings: leftOut(answer, body) };
}

function seccompText({ HostConfig }: ContainerBody): string {
  const option = rowsOf(HostConfig['SecurityOpt'])
    .map(textOf)
    .find((text) => text.startsWith('seccomp='));
  return option?.slice('seccomp='.length) ?? '{"defaultAction":"SCMP_ACT_ERRNO"}';
}
