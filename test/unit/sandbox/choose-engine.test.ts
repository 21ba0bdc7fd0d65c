import { expect, test } from 'vitest';

import { layers, type LayerName } from '../../../src/base/layers.ts';
import type { Engine } from '../../../src/engines/engine.ts';
import { memoryEngine } from '../../../src/engines/memory.ts';
import { chooseEngine, type EngineWish } from '../../../src/sandbox/making/choose-engine.ts';

/** Which engine makes a sandbox where nobody names one, on hosts with all and with some of them. */

const runcMissing = { layer: 'runtime-floor', available: false, detail: 'runc is not installed', missingTool: 'runc' } as const;

/** `others`: what Docker and Podman lack; one that is not named does not answer. */
function host(
  hasRuntime: boolean,
  others: Readonly<Record<string, readonly LayerName[]>>,
): { readonly engine: Engine; readonly asked: string[] } {
  const asked: string[] = [];
  const engine: Engine = {
    ...memoryEngine(),
    missingTool: async (runtime) => (hasRuntime ? undefined : runtime),
    async examine(_runtime, { engine: name = 'oci' } = {}) {
      asked.push(name);
      const lacks = name === 'oci' ? [] : others[name];
      if (lacks === undefined) {
        throw new Error(`${name} does not answer`);
      }
      const names = Object.keys(layers) as LayerName[];
      const all = names.map((layer) => ({ layer, available: !lacks.includes(layer), detail: `about ${layer}` }));
      return name === 'oci' && !hasRuntime ? [...all.filter(({ layer }) => layer !== 'runtime-floor'), runcMissing] : all;
    },
  };
  return { engine, asked };
}

const byNobody = { layer: 'default', source: 'the default' } as const;
const byUser = { layer: 'user', source: 'policy.yaml' } as const;
const wish = (changes: Partial<EngineWish> = {}): EngineWish => ({
  engine: 'oci',
  runtime: 'runc',
  docker: undefined,
  origins: { engine: byNobody },
  ...changes,
});

test('without a word, the container runtime itself; nothing else is asked', async () => {
  const { engine, asked } = host(true, { docker: ['disk-limit'], podman: [] });
  expect(await chooseEngine(engine, wish())).toEqual({ engine: 'oci' });
  expect(asked).toEqual([]);
});

test.each([
  ['Docker alone', { docker: ['disk-limit'] }, 'docker'],
  ['Podman alone', { podman: ['disk-limit'] }, 'podman'],
  ['both, of which one lacks less', { docker: ['disk-limit'], podman: ['disk-limit', 'cpu-limit'] }, 'docker'],
] as const)('without a word and without a runtime: %s; what it lacks is said', async (_name, others, expected) => {
  const chosen = await chooseEngine(host(false, others).engine, wish());
  expect(chosen.engine).toBe(expected);
  expect(chosen.lacks).toEqual([{ layer: 'disk-limit', detail: 'about disk-limit' }]);
  expect(chosen.engineWhy).toContain('oci cannot be used: runc is not installed');
});

test('with neither it is the runtime that is missed, and whoever names it gets no other', async () => {
  const neither = await chooseEngine(host(false, {}).engine, wish());
  expect(neither.engine).toBe('oci');
  expect(neither.engineWhy).toContain('docker does not answer');
  const { engine, asked } = host(false, { docker: [] });
  expect(await chooseEngine(engine, wish({ origins: { engine: byUser } }))).toEqual({ engine: 'oci' });
  expect(asked).toEqual([]);
});
