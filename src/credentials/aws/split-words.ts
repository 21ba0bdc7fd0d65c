import { unavailable } from '../sources/checked-value.ts';

/** Splits `credential_process` into words as the AWS tools do: at spaces, with quotes grouping. No shell reads it. */
export function splitWords(line: string): readonly string[] {
  const words: string[] = [];
  const pattern = /\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s"']+))(?=\s|$)/gy;
  let end = 0;
  for (const match of line.trimEnd().matchAll(pattern)) {
    const [whole, double, single, bare] = match;
    words.push(double?.replaceAll(/\\(.)/g, '$1') ?? single ?? bare ?? '');
    end = match.index + whole.length;
  }
  if (end !== line.trimEnd().length) {
    throw unavailable('the line of a credential_process cannot be split into words');
  }
  return words;
}
