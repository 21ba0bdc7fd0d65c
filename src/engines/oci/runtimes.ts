import type { SandboxSpec } from '../engine.ts';

export interface RuntimeHost {
  readonly env: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

export async function examineRuntime(_name: SandboxSpec['runtime'], _host: RuntimeHost): Promise<{ available: boolean; detail: string }> {
  return { available: true, detail: '' };
}
