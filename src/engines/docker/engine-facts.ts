import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { compareVersions, parseVersion } from '../oci/runtime-floors.ts';
import type { Product } from './dialect.ts';
import { apiVersion, type DockerClient } from './docker-client.ts';
import { fieldsOf, numberOf, rowsOf, textOf, type Fields } from './read-json.ts';

/** What the engine says of itself. What it gives to a container is read back at each start. */

export interface EngineFacts {
  readonly product: Product;
  /** of the engine and of the place where it keeps its images */
  readonly id: string;
  /** e.g. `20.10.24` */
  readonly version: string;
  /** release of the kernel that its containers have */
  readonly kernel: string;
  /** of that machine, e.g. `x86_64` */
  readonly architecture: string;
  /** what it runs on, e.g. `Docker Desktop` */
  readonly system: string;
  /** version of the control groups there; `undefined` where it does not say */
  readonly groupVersion: 1 | 2 | undefined;
  readonly processors: number;
  readonly limits: { readonly memory: boolean; readonly swap: boolean; readonly cpu: boolean; readonly pids: boolean };
  /** e.g. `seccomp`, `rootless`, `userns`, `apparmor` */
  readonly security: readonly string[];
  /** whether the ids inside are not the host's */
  readonly userNamespace: boolean;
  /** names by which containers can be started */
  readonly runtimes: readonly string[];
  /** those of which it says the version */
  readonly versions: readonly RuntimeVersion[];
}

export interface RuntimeVersion {
  readonly name: string;
  readonly version: string;
  /** of the Debian package, if it is one */
  readonly package: string | undefined;
}

/** Throws `ENGINE_FAILED` when the engine does not answer, or speaks no version of the API that is spoken here. */
export async function engineFacts(client: DockerClient): Promise<EngineFacts> {
  const [version, info] = (await Promise.all([client.must('GET', '/version'), client.must('GET', '/info')])).map(fieldsOf);
  const facts = factsIn(version ?? {}, info ?? {});
  return facts.product === 'Podman' ? podmanFacts(facts, fieldsOf(await client.must('GET', '/libpod/info'))) : facts;
}

function factsIn(version: Fields, info: Fields): EngineFacts {
  const api = textOf(version['ApiVersion']);
  if (parseVersion(api) === undefined || compareVersions(api, apiVersion) < 0) {
    throw new CasemateError('ENGINE_FAILED', `the engine speaks API ${visible(api) || 'of no version'}; ${apiVersion} is needed`);
  }
  if (textOf(info['OSType']) !== 'linux') {
    throw new CasemateError('ENGINE_FAILED', 'the engine runs no Linux containers');
  }
  const components = rowsOf(version['Components']).map(fieldsOf);
  const product = components.some(({ Name }) => Name === 'Podman Engine') ? 'Podman' : 'Docker';
  return {
    product,
    // Docker's id is of the machine, and two of its engines have one; Podman has a new one in each answer.
    id: `${product === 'Docker' ? textOf(info['ID']) : product} ${textOf(info['DockerRootDir'])}`,
    version: textOf(version['Version']),
    kernel: textOf(info['KernelVersion']),
    architecture: textOf(info['Architecture']),
    system: textOf(info['OperatingSystem']),
    groupVersion: info['CgroupVersion'] === '1' ? 1 : info['CgroupVersion'] === '2' ? 2 : undefined,
    processors: numberOf(info['NCPU']) ?? 1,
    limits: {
      memory: info['MemoryLimit'] === true,
      swap: info['SwapLimit'] === true,
      cpu: info['CpuCfsQuota'] === true,
      pids: info['PidsLimit'] === true,
    },
    security: rowsOf(info['SecurityOptions']).flatMap((row) => /^name=([\w-]+)/.exec(textOf(row))?.[1] ?? []),
    userNamespace: false,
    runtimes: Object.keys(fieldsOf(info['Runtimes'])),
    versions: components.filter(({ Name }) => Name === 'runc').map(dockerRuntime),
  };
}

function dockerRuntime(component: Fields): RuntimeVersion {
  const commit = textOf(fieldsOf(component['Details'])['GitCommit']);
  return {
    name: textOf(component['Name']),
    version: parseVersion(textOf(component['Version'])) ?? '',
    package: commit.includes('+deb') ? commit : undefined,
  };
}

/** For the Docker of its API Podman answers for the machine; here it says what its own containers have. */
function podmanFacts(facts: EngineFacts, info: Fields): EngineFacts {
  const host = fieldsOf(info['host']);
  const runtime = fieldsOf(host['ociRuntime']);
  const isRootless = fieldsOf(host['security'])['rootless'] === true;
  // Without root the groups of version 1 are nobody's, and of version 2 there is what systemd has handed down.
  const has = (controller: string): boolean =>
    !isRootless || (host['cgroupVersion'] === 'v2' && rowsOf(host['cgroupControllers']).includes(controller));
  const { limits } = facts;
  return {
    ...facts,
    userNamespace: isRootless,
    limits: {
      memory: limits.memory && has('memory'),
      swap: limits.swap && has('memory'),
      cpu: limits.cpu && has('cpu'),
      pids: limits.pids && has('pids'),
    },
    versions: [
      {
        name: textOf(runtime['name']),
        version: /version (\d+(?:\.\d+)*)/.exec(textOf(runtime['version']))?.[1] ?? '',
        package: /_(.*\+deb.*)_[^_]+$/.exec(textOf(runtime['package']))?.[1],
      },
    ],
  };
}
