import { homePlanOf } from './home-plan.ts';
import { readFacts } from './facts.ts';
import { loadPolicy } from './load-policy.ts';
import type { SandboxContext } from './context.ts';
import { hashPlan, makePlan, type Plan } from './plan.ts';
import { protectedPaths } from './protected-paths.ts';
import { resolveWorkspace } from './workspace-path.ts';

export interface MakeRequest {
  /** absolute; the project policy is looked for from here upwards */
  readonly cwd: string;
  readonly policyFile?: string | undefined;
  readonly runtime?: string | undefined;
  readonly agent?: string | undefined;
  readonly image?: string | undefined;
  readonly workspace?: string | undefined;
  readonly readonly?: boolean | undefined;
  readonly skipPermissions?: boolean | undefined;
  readonly waive?: readonly string[] | undefined;
  readonly trust?: boolean | undefined;
  readonly timeoutMs?: number | undefined;
}
