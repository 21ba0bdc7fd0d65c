import type { HostName } from '../base/host.ts';
import type { HttpAllowance } from './policy.ts';

/**
 * The facts that a policy is resolved against, of this machine and of the agent table. They are passed in, so that policy/ stays
 * pure.
 */
export interface Facts {
  /** by name; a row of `agents/` has this form */
  readonly agents: Readonly<Record<string, AgentFacts>>;
  /** package sources of the machine's own configuration; empty where it names none */
  readonly registries: Readonly<Record<RegistryKind, readonly RegistryFacts[]>>;
  /** absolute path of the user's home, for `~/` in credential files */
  readonly home: string;
  /** names of the credentials in the sealed store of this installation */
  readonly stored: readonly string[];
  /** agents with a login on this host; absent: none */
  readonly logins?: readonly string[] | undefined;
}

export const registryKinds = ['npm', 'debian', 'pypi'] as const;
export type RegistryKind = (typeof registryKinds)[number];

export interface RegistryFacts {
  readonly host: HostName;
  readonly port: number;
  /** `scheme://host:port`, only where the host has a private address here: the machine's own configuration vouches for it */
  readonly upstream: string | undefined;
}

export interface AgentFacts {
  /** image recipe that has the agent */
  readonly recipe: string;
  /** name of the credential it needs; `undefined`: none */
  readonly provider: string | undefined;
  /** whose file describes it; absent: it is of this program */
  readonly describedBy?: 'organisation' | 'user' | undefined;
  readonly hosts: readonly AgentHostFacts[];
  /** other ways to its model, by the name the policy uses */
  readonly apis?: Readonly<Record<string, AgentApiFacts>> | undefined;
}

export interface AgentApiFacts {
  /** provider of the credential, and its name; `undefined`: none */
  readonly provider: string | undefined;
  /** what the policy must say about it */
  readonly needs: readonly ('region' | 'project')[];
  /** `{region}` and `{project}` stand for what the policy says, in hosts and in paths */
  readonly hosts: readonly AgentHostFacts[];
}

export interface AgentHostFacts {
  readonly host: string;
  readonly ports: readonly number[];
  readonly http: readonly HttpAllowance[] | undefined;
  readonly credential: boolean;
  /** opened only where telemetry is on */
  readonly telemetry: boolean;
}
