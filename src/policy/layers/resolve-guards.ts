import type { Budget, Guards, ModelPrice, RegistryHost, SecretMode, SecretRule } from '../guards.ts';
import { noGuards, secretModes } from '../guards.ts';
import { originOf, type PolicyLayer } from '../written/policy-layer.ts';
import type { Origin } from '../origin.ts';
import { filesOf, type PolicyLayers } from './resolve-scalars.ts';
import type { WrittenPolicy } from '../written/schema.ts';
import { widens } from './widening.ts';

/**
 * Budgets, package rules and upload rules of all layers. Those of each layer hold beside the others', so a lower layer can
 * loosen none.
 */

/** Throws `POLICY_WIDENS` for what a layer above does not allow. */
export function resolveGuards(layers: PolicyLayers): Guards {
  const files = filesOf(layers);
  return {
    budgets: files.flatMap(budgetsOf),
    prices: pricesOf(files),
    packages: files.flatMap((layer) => packageRule(layer)),
    registries: registriesOf(files),
    uploads: files.flatMap((layer) => uploadRule(layer)),
    secrets: secretRule(files),
  };
}

type Written<K extends keyof WrittenPolicy> = NonNullable<WrittenPolicy[K]>;

function budgetsOf(layer: PolicyLayer): readonly Budget[] {
  return (layer.written.budgets ?? []).map((written, index) => budgetOf(written, originOf(layer, ['budgets', index])));
}

function budgetOf(written: Written<'budgets'>[number], origin: Origin): Budget {
  const { credential, per = 'life', over = 'sandbox', spend, requests, bytesOut, tokens, inputTokens, outputTokens } = written;
  const spendMicros = spend === undefined ? undefined : Math.round(spend * 1_000_000);
  const amounts = { requests, bytesOut, tokens, inputTokens, outputTokens, spendMicros };
  const limits = Object.fromEntries(Object.entries(amounts).filter(([, amount]) => amount !== undefined));
  return { credential, per, over, limits, origin };
}

/** The highest layer that prices a model decides: a lower one could otherwise make a dear model cheap. */
function pricesOf(files: readonly PolicyLayer[]): readonly ModelPrice[] {
  const all = files.flatMap(({ written }) => Object.entries(written.prices ?? {}));
  return [...new Map(all.toReversed())].map(([model, { input, output, cacheRead, cacheWrite }]) => {
    return { model, input, output, cacheRead: cacheRead ?? input / 10, cacheWrite: cacheWrite ?? input * 2 };
  });
}

function packageRule(layer: PolicyLayer): Guards['packages'] {
  const { minAge, block = [], allow = [] } = layer.written.packages ?? {};
  const isEmpty = minAge === undefined && block.length === 0;
  return isEmpty ? [] : [{ minAgeMs: minAge, block, allow, origin: originOf(layer, ['packages']) }];
}

function registriesOf(files: readonly PolicyLayer[]): readonly RegistryHost[] {
  return files.flatMap(({ written }) => {
    const { npm = [], pypi = [] } = written.packages?.registries ?? {};
    return [
      ...npm.map((host): RegistryHost => ({ ecosystem: 'npm', host })),
      ...pypi.map((host): RegistryHost => ({ ecosystem: 'pypi', host })),
    ];
  });
}

function uploadRule(layer: PolicyLayer): Guards['uploads'] {
  const { maxBytes, perHour } = layer.written.uploads ?? {};
  const isEmpty = maxBytes === undefined && perHour === undefined;
  return isEmpty ? [] : [{ maxBytes, perHourBytes: perHour, origin: originOf(layer, ['uploads']) }];
}

interface Held<T> {
  readonly value: T;
  readonly origin: Origin;
}

type SecretKey = 'secrets' | 'envFiles';

function secretRule(files: readonly PolicyLayer[]): SecretRule {
  const held: { secrets: Held<SecretMode> | undefined; envFiles: Held<boolean> | undefined } = {
    secrets: undefined,
    envFiles: undefined,
  };
  const except: string[] = [...noGuards.secrets.except];
  for (const layer of files) {
    const { secrets, envFiles, except: more } = layer.written.uploads ?? {};
    held.secrets = stricter(layer, 'secrets', { stated: secrets, held: held.secrets, rank: (mode) => secretModes.indexOf(mode) });
    held.envFiles = stricter(layer, 'envFiles', { stated: envFiles, held: held.envFiles, rank: Number });
    if (more !== undefined && held.envFiles?.value === true && held.envFiles.origin.source !== layer.source) {
      throw widens(
        originOf(layer, ['uploads', 'except']),
        held.envFiles.origin,
        'uploads.except lets more out than the envFiles that',
      );
    }
    except.push(...(more ?? []));
  }
  return {
    mode: held.secrets?.value ?? noGuards.secrets.mode,
    envFiles: held.envFiles?.value ?? noGuards.secrets.envFiles,
    except,
  };
}

interface Statement<T> {
  readonly stated: T | undefined;
  readonly held: Held<T> | undefined;
  /** the larger, the stricter */
  readonly rank: (value: T) => number;
}

function stricter<T>(layer: PolicyLayer, key: SecretKey, { stated, held, rank }: Statement<T>): Held<T> | undefined {
  if (stated === undefined) {
    return held;
  }
  const origin = originOf(layer, ['uploads', key]);
  if (held !== undefined && rank(stated) < rank(held.value)) {
    throw widens(origin, held.origin, `uploads.${key} ${String(stated)} is looser than the ${String(held.value)} that`);
  }
  return { value: stated, origin };
}
