import type { AgentLogin } from '../../agents/agent.ts';
import type { Binding } from '../../credentials/bind.ts';
import type { BoundCredential } from '../../credentials/credential.ts';
import type { Environment } from '../../system/environment.ts';

/** The credentials of a plan, read from their sources into this process, with the phantoms the sandbox gets instead. */
export interface PlanCredentials {
  /** by credential name */
  readonly bindings: ReadonlyMap<string, Binding>;
  /** by credential name, for the gateway */
  readonly bound: ReadonlyMap<string, BoundCredential>;
  /** variable to phantom, for the sandbox's environment */
  readonly variables: Readonly<Record<string, string>>;
  /** phantom of the credential of this name, else of the first of this provider */
  readonly phantomOf: (provider: string) => string | undefined;
  /** what this agent finds where it keeps its login; `undefined`: it has none here */
  readonly loginOf: (agent: string) => AgentLogin | undefined;
  /** first phantom of the credential of this name */
  readonly phantomNamed: (name: string) => string | undefined;
  /** Reads the sources again; exchanges from now on use the new values. */
  readonly refresh: (callerEnv: Environment) => Promise<void>;
  readonly refreshOne: (name: string, callerEnv: Environment) => Promise<void>;
}
