import type { Plan } from '../../sandbox/plan/plan.ts';
import type { SeenProcesses } from '../target.ts';
import type { Lab } from './lab.ts';

/** What the command line tells with `--json`, of it what probes look at. */
type Casemate = Lab['casemate'];

export interface Listed {
  readonly name: string;
  /** of a sandbox for one server: whose */
  readonly serves?: object;
}

export interface Inspected extends SeenProcesses {
  readonly sandbox: { readonly id: string };
  readonly plan: Plan;
}

export interface Denied {
  readonly id: string;
  readonly state: string;
  readonly target?: string | undefined;
  readonly program?: string | undefined;
  readonly sandbox: string;
}

export async function listed(casemate: Casemate): Promise<readonly Listed[]> {
  // oxlint-disable-next-line no-unsafe-type-assertion -- what this very program prints
  return (await told(casemate, ['ls'])) as readonly Listed[];
}

export async function sandboxNames(casemate: Casemate): Promise<readonly string[]> {
  return (await listed(casemate)).map(({ name }) => name);
}

export async function inspected(casemate: Casemate, name: string): Promise<Inspected> {
  // oxlint-disable-next-line no-unsafe-type-assertion -- as above
  return (await told(casemate, ['inspect', name])) as Inspected;
}

/** Host ids of what runs inside. */
export async function processesOf(casemate: Casemate, name: string): Promise<readonly string[]> {
  return (await inspected(casemate, name)).processes.map(String);
}

export async function deniedRequests(casemate: Casemate): Promise<readonly Denied[]> {
  // oxlint-disable-next-line no-unsafe-type-assertion -- as above
  return (await told(casemate, ['requests'])) as readonly Denied[];
}

async function told(casemate: Casemate, command: readonly string[]): Promise<unknown> {
  const { out } = await casemate([...command, '--json']);
  return JSON.parse(out.toString('utf8'));
}
