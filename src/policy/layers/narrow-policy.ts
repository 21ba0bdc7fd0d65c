import { CasemateError } from '../../base/errors.ts';
import { formatBytes, formatDuration } from '../../base/units.ts';
import { layoutFolders, type LayoutFolder, type Limits, type Policy } from '../policy.ts';
import { formatOrigin } from '../written/policy-layer.ts';
import { byDefault } from './resolve-scalars.ts';

/**
 * The policy that a caller other than a person may ask for: only less than its own. A model that was talked into asking for more
 * gets a refusal that names what it asked for and where the limit stands. Nothing is silently reduced to the limit.
 */
export interface Narrowing {
  readonly memoryBytes?: number | undefined;
  readonly cpus?: number | undefined;
  readonly pids?: number | undefined;
  readonly timeMs?: number | undefined;
  readonly idleMs?: number | undefined;
  readonly readonly?: true | undefined;
  /** added to what the policy asks for */
  readonly layout?: readonly LayoutFolder[] | undefined;
  /** times of a session where no policy says any */
  readonly unlessSaid?: { readonly timeMs: number; readonly idleMs: number } | undefined;
}

type Bounded = 'memoryBytes' | 'cpus' | 'pids' | 'timeMs' | 'idleMs';

const bounded: Readonly<Record<Bounded, { readonly path: string; readonly show: (value: number) => string }>> = {
  memoryBytes: { path: 'limits.memory', show: formatBytes },
  cpus: { path: 'limits.cpus', show: String },
  pids: { path: 'limits.pids', show: String },
  timeMs: { path: 'limits.time', show: formatDuration },
  idleMs: { path: 'limits.idle', show: formatDuration },
};

/** Throws `POLICY_WIDENS` for what is more than the policy allows. */
export function narrowPolicy(policy: Policy, asked: Narrowing): Policy {
  const { timeMs, idleMs } = policy.limits;
  const limits = { ...policy.limits, timeMs: timeMs ?? asked.unlessSaid?.timeMs, idleMs: idleMs ?? asked.unlessSaid?.idleMs };
  return {
    ...policy,
    limits: {
      ...limits,
      memoryBytes: lesser('memoryBytes', asked, limits, policy) ?? limits.memoryBytes,
      cpus: lesser('cpus', asked, limits, policy) ?? limits.cpus,
      pids: lesser('pids', asked, limits, policy) ?? limits.pids,
      timeMs: lesser('timeMs', asked, limits, policy),
      idleMs: lesser('idleMs', asked, limits, policy),
    },
    workspace: {
      ...policy.workspace,
      ...(asked.readonly === true ? { mode: 'readonly' } : {}),
      ...layoutWith(policy, asked.layout),
    },
  };
}

function layoutWith({ workspace }: Policy, more: Narrowing['layout'] = []): Pick<Policy['workspace'], 'layout'> {
  const all = [...(workspace.layout ?? []), ...more];
  return all.length === 0 ? {} : { layout: layoutFolders.filter((name) => all.includes(name)) };
}

function lesser(key: Bounded, asked: Narrowing, limits: Limits, { origins }: Policy): number | undefined {
  const wanted = asked[key];
  const bound = limits[key];
  if (wanted === undefined || bound === undefined || wanted <= bound) {
    return wanted ?? bound;
  }
  const { path, show } = bounded[key];
  throw new CasemateError(
    'POLICY_WIDENS',
    `${path} ${show(wanted)} is more than the ${show(bound)} that ${formatOrigin(origins[path] ?? byDefault)} allows`,
    { hint: 'A caller may only ask for less. The person at the host can allow more in the policy.' },
  );
}
