import { z } from 'zod';

import { policySchema } from './schema.ts';
import type { ValuePath } from './policy-layer.ts';

/**
 * The policy file as JSON Schema (2020-12): for editors, for the reference page, and for listing the keys that a place allows.
 */

/** The part of JSON Schema that our schema uses. */
export interface JsonSchema {
  readonly $schema?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
}

let made: JsonSchema | undefined;

export function policyJsonSchema(): JsonSchema {
  // oxlint-disable-next-line no-unsafe-type-assertion -- the library's type covers every draft; a test walks what ours makes
  made ??= z.toJSONSchema(policySchema, { io: 'input' }) as JsonSchema;
  return made;
}

/** The keys that may stand at a path of a policy file; empty where there are none. */
export function keysAt(path: ValuePath): readonly string[] {
  return keysIn(policyJsonSchema(), path);
}

/** The same for a file of another schema. */
export function keysIn(schema: JsonSchema, path: ValuePath): readonly string[] {
  let places: readonly JsonSchema[] = [schema];
  for (const part of path) {
    places = places.flatMap(alternatives).flatMap((place) => partOf(place, part));
  }
  return places.flatMap(alternatives).flatMap((place) => Object.keys(place.properties ?? {}));
}

function alternatives(schema: JsonSchema): readonly JsonSchema[] {
  const choices = schema.anyOf ?? schema.oneOf;
  return choices === undefined ? [schema] : choices.flatMap(alternatives);
}

function partOf(schema: JsonSchema, part: string | number): readonly JsonSchema[] {
  const named = typeof part === 'string' ? schema.properties?.[part] : schema.items;
  const others = typeof schema.additionalProperties === 'object' ? [schema.additionalProperties] : [];
  return named === undefined ? others : [named];
}
