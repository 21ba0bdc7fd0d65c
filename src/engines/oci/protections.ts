import type { SandboxSpec } from '../engine.ts';
import { lookBelow, planProtection, type Protection } from './protect.ts';

/** The protections of a spec's workspace as it is now. A read-only workspace needs none. */
export async function protectionsOf({ workspace }: SandboxSpec): Promise<readonly Protection[]> {
  return workspace.mode === 'readonly' ? [] : planProtection(workspace.protect, lookBelow(workspace.path));
}
