import { isJsonObject } from '../../base/json.ts';

/** Reads values of unknown shape out of request bodies. */

export function field(value: unknown, name: string): unknown {
  return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

export function textField(value: unknown, name: string): string {
  const found = field(value, name);
  return typeof found === 'string' ? found : '';
}

export function listField(value: unknown, name: string): readonly unknown[] {
  const found = field(value, name);
  return Array.isArray(found) ? found : [];
}

/** Text of a content that is a string or a list of text blocks, as both wire formats have it. */
export function contentText(content: unknown): string {
  if (typeof content === 'string') {
    return content;
  }
  return Array.isArray(content) ? content.map((block) => textField(block, 'text')).join('\n') : '';
}
