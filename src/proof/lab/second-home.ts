import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Plan } from '../../sandbox/plan/plan.ts';
import type { Inside } from '../target.ts';
import type { CasemateOptions, Lab } from './lab.ts';

/**
 * An installation next to the lab's, for what must not be tried on the lab's own: a daemon that examines the host again, and a
 * user's policy that says only which image and runtime to use. Its daemon is started by its first command.
 */
export interface SecondHome {
  readonly casemate: (args: readonly string[], options?: CasemateOptions) => Promise<Inside>;
  /** empty; absolute, on the host */
  readonly workspace: string;
  /** where it keeps everything */
  readonly home: string;
  /** with its sandboxes */
  readonly stop: () => Promise<unknown>;
}

export interface SecondHomeOptions {
  readonly name: string;
  readonly plan: Plan;
  readonly path?: string | undefined;
  /** default: as the plan has it */
  readonly waive?: Plan['waive'] | undefined;
  /** what its policy says beside */
  readonly more?: object | undefined;
}

export async function secondHome(lab: Lab, options: SecondHomeOptions): Promise<SecondHome> {
  const { name, plan, path, waive = plan.waive, more } = options;
  const home = join(lab.folder, `home-${name}`);
  const workspace = join(lab.folder, `work-${name}`);
  await mkdir(join(home, 'config'), { recursive: true, mode: 0o700 });
  await mkdir(workspace);
  await lab.give(workspace);
  const policy = { version: 1, image: plan.image.recipe, engine: plan.engine, runtime: plan.runtime, waive, ...more };
  await writeFile(join(home, 'config/policy.yaml'), JSON.stringify(policy), { mode: 0o600 });
  const env = { CASEMATE_HOME: home, ...(path === undefined ? {} : { PATH: path }) };
  const casemate: SecondHome['casemate'] = (args, call) =>
    lab.casemate(args, { cwd: workspace, ...call, env: { ...env, ...call?.env } });
  return { casemate, workspace, home, stop: () => casemate(['daemon', 'stop', '--force']) };
}
