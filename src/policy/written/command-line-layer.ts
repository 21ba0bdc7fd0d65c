import { CasemateError } from '../../base/errors.ts';
import { describeIssue } from './describe-issue.ts';
import { keysAt } from './json-schema.ts';
import { originOf, type PolicyLayer } from './policy-layer.ts';
import { policySchema } from './schema.ts';

/** The options of a command as a policy layer: the same form and the same checks as a file, under other names. */
export interface CommandLinePolicy {
  readonly agent?: string | undefined;
  readonly permissions?: string | undefined;
  /** where the agent reaches its model, and in which region */
  readonly provider?: string | undefined;
  readonly region?: string | undefined;
  readonly image?: string | undefined;
  readonly engine?: string | undefined;
  readonly runtime?: string | undefined;
  readonly workspace?: string | undefined;
  readonly mode?: string | undefined;
  readonly waive?: readonly string[] | undefined;
  /** added to those of the files */
  readonly presets?: readonly string[] | undefined;
  /** keys as in a file: `memory`, `time` … */
  readonly limits?: Readonly<Record<string, string | number>> | undefined;
}

/** `cwd` is where relative paths start. Throws `USAGE`, naming the option and the nearest right value. */
export function commandLineLayer(options: CommandLinePolicy, cwd: string): PolicyLayer {
  const { agent, permissions, provider, region, image, engine, runtime, workspace, mode, waive, presets, limits } = options;
  const written = present({
    version: 1,
    agent: present({ name: agent, permissions, provider, region }),
    image,
    engine,
    runtime,
    workspace: present({ path: workspace, mode }),
    presets,
    limits,
    waive: waive?.length === 0 ? undefined : waive,
  });
  const layer = {
    kind: 'command line',
    source: 'the command line',
    folder: cwd,
    workspaceFolder: cwd,
    positions: new Map(),
  } as const;
  const parsed = policySchema.safeParse(written);
  if (parsed.success) {
    return { ...layer, written: parsed.data };
  }
  const [fault] = parsed.error.issues.flatMap((issue) => describeIssue(issue, written, { keysAt, what: 'policy' }));
  const { source } = originOf({ ...layer, written: { version: 1 } }, fault?.path ?? []);
  throw new CasemateError('USAGE', `${source}: ${fault?.what ?? 'is not valid'}`, { hint: fault?.hint });
}

function present(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
