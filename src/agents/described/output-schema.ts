import { z } from 'zod';

/** How to read the output of an agent that works without a person: one of three forms, with fields named by their paths. */

const fieldPath = z
  .string()
  .regex(/^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){0,7}$/, 'is not a path of names with dots between, such as part.text')
  .transform((path) => path.split('.'));

const fields = z.strictObject({
  result: fieldPath.optional().describe('text: what it said, its result'),
  conversation: fieldPath.optional().describe('text: the id by which it is resumed'),
  turns: fieldPath.optional().describe('number'),
  cost: fieldPath.optional().describe('number: dollars, by its own count'),
  inputTokens: fieldPath.optional().describe('number'),
  outputTokens: fieldPath.optional().describe('number'),
  cacheReadTokens: fieldPath.optional().describe('number'),
  cacheWriteTokens: fieldPath.optional().describe('number'),
});

const event = fields.extend({
  when: z
    .record(z.string().regex(/^[A-Za-z0-9_.-]{1,200}$/, 'is not a path'), z.union([z.string().max(200), z.boolean()]))
    .describe('the values by which such a line is known, by path: `{ type: error }`'),
  say: fieldPath.optional().describe('text that is told to who looks on'),
  label: z
    .string()
    .regex(/^[\x20-\x7e]{1,60}$/, 'must be a short text')
    .optional()
    .describe('stands before it'),
  adds: z.boolean().default(false).describe('its numbers are added to those of earlier lines; default: they replace them'),
  failed: z.boolean().optional().describe('such a line says that the task failed (`true`) or came to its end (`false`)'),
});

export const outputSchema = z
  .strictObject({
    form: z
      .enum(['text', 'json', 'lines'])
      .describe('`text`: all it prints is the result. `json`: one document. `lines`: a JSON document each line, an event'),
    fields: fields.optional().describe('only for `json`: where its fields are'),
    failed: z
      .strictObject({ at: fieldPath.describe('path'), is: z.union([z.string().max(200), z.boolean()]) })
      .optional()
      .describe('only for `json`: the value that says that it failed'),
    events: z.array(event).min(1).max(32).optional().describe('only for `lines`: what is read of which lines'),
  })
  .superRefine(({ form, fields: written, failed, events }, ctx) => {
    const isGiven = { fields: written !== undefined, failed: failed !== undefined, events: events !== undefined };
    for (const key of ['fields', 'failed', 'events'] as const) {
      if (isGiven[key] && (key === 'events' ? 'lines' : 'json') !== form) {
        ctx.addIssue({ code: 'custom', path: [key], message: `says nothing for output of the form ${form}` });
      }
    }
    if ((form === 'json' && written === undefined) || (form === 'lines' && events === undefined)) {
      ctx.addIssue({ code: 'custom', path: ['form'], message: `needs "${form === 'json' ? 'fields' : 'events'}" beside it` });
    }
  })
  .describe('how its output is read. Without a word about failing, its exit code alone says whether it came to its end');

export type WrittenOutput = z.output<typeof outputSchema>;
