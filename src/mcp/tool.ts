import { z } from 'zod';

import { visible, visibleJson } from '../base/text.ts';
import type { ToolContext } from './tool-context.ts';

/**
 * What a tool is, and what it is given. One tool, one file in `tools/`; the table in `tools.ts` and the reference page are made
 * from the rows.
 */

/** A hint to clients (MCP `ToolAnnotations`), never a guard of ours. */
export interface ToolHints {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

export interface ToolRow<I extends z.ZodType, O extends z.ZodType> {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  /** strict: a key it does not know is refused */
  readonly input: I;
  readonly output: O;
  readonly hints: ToolHints;
  readonly run: (input: z.output<I>, context: ToolContext) => Promise<z.output<O>>;
  /** What a person or a model reads; default: the result as JSON. */
  readonly text?: (result: z.output<O>) => string;
}

export interface ToolAnswer {
  readonly structured: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** A tool as the server knows it, whatever its arguments are. */
export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly hints: ToolHints;
  readonly inputSchema: Readonly<Record<string, unknown>>;
  readonly outputSchema: Readonly<Record<string, unknown>>;
  /** Throws `ArgumentFault` before anything was done, `CasemateError` for what failed. */
  readonly call: (args: unknown, context: ToolContext) => Promise<ToolAnswer>;
}

/** Arguments that are not as the schema says. Its message names the place and what is wrong, and holds no value. */
export class ArgumentFault extends Error {
  override readonly name = 'ArgumentFault';
  /** of the argument, such as `dockerOpts.Memory` */
  readonly place: string;
  readonly what: string;

  constructor(toolName: string, place: string, what: string) {
    super(`${toolName}: ${place}: ${what}`);
    this.place = place;
    this.what = what;
  }
}

export function tool<I extends z.ZodObject, O extends z.ZodObject>(row: ToolRow<I, O>): Tool {
  const { name, title, about, hints } = row;
  return {
    name,
    title,
    about,
    hints,
    inputSchema: schemaOf(row.input, 'input'),
    outputSchema: schemaOf(row.output, 'output'),
    async call(args, context) {
      const read = row.input.safeParse(args ?? {});
      if (!read.success) {
        throw faultOf(name, read.error);
      }
      const torn = tornPlace(read.data);
      if (torn !== undefined) {
        throw new ArgumentFault(name, visible(torn), 'holds half a character, which is no text');
      }
      const result = await row.run(read.data, context);
      return { structured: { ...result }, text: row.text?.(result) ?? visibleJson(result) };
    },
  };
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Readonly<Record<string, unknown>> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}

/** Where among arguments there is a surrogate without its other half: it has no bytes, and no command or record can hold it. */
function tornPlace(value: unknown): string | undefined {
  if (typeof value === 'string') {
    return value.isWellFormed() ? undefined : '';
  }
  if (typeof value !== 'object' || value === null) {
    return undefined;
  }
  for (const [key, part] of Object.entries(value)) {
    const place = key.isWellFormed() ? tornPlace(part) : '';
    if (place !== undefined) {
      return place === '' ? key : `${key}.${place}`;
    }
  }
  return undefined;
}

function faultOf(name: string, { issues }: z.ZodError): ArgumentFault {
  const [issue] = issues;
  if (issue === undefined) {
    return new ArgumentFault(name, 'arguments', 'is not valid');
  }
  const keys = issue.code === 'unrecognized_keys' ? issue.keys : [];
  const place = [...issue.path, ...keys.slice(0, 1)].map(String).join('.');
  // What is wrong with a name says the fault within the fault.
  const within = issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined;
  const what = keys.length > 0 ? 'there is no such argument' : (within ?? issue.message);
  return new ArgumentFault(name, place === '' ? 'arguments' : visible(place), visible(what));
}
