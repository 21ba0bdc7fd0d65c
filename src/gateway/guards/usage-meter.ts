import { awsEventReader, sseReader, type EventReader } from './event-readers.ts';
import { valuesOf, type Field } from '../http/fields.ts';
import { createJsonPicker } from '../http/json-picker.ts';
import { readUsage, type Usage } from './usage.ts';

/** Reads from a model's answer, as the bytes pass, how many tokens it says it used. It only watches: nothing waits for it. */
export interface UsageMeter {
  readonly push: (piece: Buffer) => void;
  /** `undefined`: the answer says nothing */
  readonly usage: () => MeteredUsage | undefined;
  /** of the answer, so far */
  readonly bytes: () => number;
}

export interface MeteredUsage extends Usage {
  /** the count of what was written is the first one, not the last: the answer was cut or keeps it to itself */
  readonly isEstimated: boolean;
}

export interface MeteredAnswer {
  readonly status: number;
  readonly fields: readonly Field[];
}

/** A member at the top that is longer than this is no count of tokens. */
const members = ['usage', 'model', 'modelVersion', 'usageMetadata', 'message', 'response', 'amazon-bedrock-invocationMetrics'];

/** So many bytes of a streamed answer carry at least one token: for an answer that was cut before its count. */
const bytesPerToken = 8;

export function createUsageMeter({ status, fields }: MeteredAnswer): UsageMeter {
  let seen: Partial<Usage> | undefined;
  let bytes = 0;
  let hasEnd = false;
  const take = (value: unknown): void => {
    const found = readUsage(value);
    if (found !== undefined) {
      hasEnd ||= found.output !== undefined && !isBeginning(value);
      seen = { ...seen, ...found };
    }
  };
  const type = valuesOf(fields, 'content-type').join().split(';')[0]?.trim().toLowerCase() ?? '';
  const isStream = type === 'text/event-stream' || type === 'application/vnd.amazon.eventstream';
  const picker = createJsonPicker(members);
  const reader: EventReader =
    type === 'text/event-stream' ? sseReader(take) : isStream ? awsEventReader(take) : { push: (piece) => picker.push(piece) };
  return {
    push(piece) {
      bytes += piece.length;
      reader.push(piece);
    },
    bytes: () => bytes,
    usage() {
      if (!isStream) {
        take(Object.fromEntries(picker.values()));
      }
      const told = { ...fromFields(fields), ...seen };
      if (status >= 400 || (!isStream && told.input === undefined && told.output === undefined)) {
        return undefined;
      }
      const isCut = isStream && !hasEnd;
      const output = isCut ? Math.max(told.output ?? 0, Math.ceil(bytes / bytesPerToken)) : told.output;
      return { ...none, ...told, output: output ?? 0, isEstimated: isCut };
    },
  };
}

/** Anthropic counts at the beginning of a stream, too: what was written by then is next to nothing. */
function isBeginning(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'message' in value;
}

const none = { model: undefined, input: 0, cacheRead: 0, cacheWrite: 0 } as const;

/** Bedrock's InvokeModel says it in the head of the answer, too. */
function fromFields(fields: readonly Field[]): Partial<Usage> {
  const number = (name: string): number | undefined => {
    const [value = ''] = valuesOf(fields, name);
    return /^\d{1,9}$/.test(value) ? Number(value) : undefined;
  };
  const input = number('x-amzn-bedrock-input-token-count');
  const output = number('x-amzn-bedrock-output-token-count');
  return { ...(input === undefined ? {} : { input }), ...(output === undefined ? {} : { output }) };
}
