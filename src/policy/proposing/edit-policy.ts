import { isMap, isSeq, parseDocument, stringify, YAMLSeq, type Document, type ToStringOptions } from 'yaml';

import { CasemateError } from '../../base/errors.ts';
import type { WrittenForm } from './propose.ts';

/** Adds rules to the text of a policy file; its comments, order and spelling stay. Pure: nothing is read or written. */

/** As it would stand in a file. */
export function rulesAsYaml(rules: readonly WrittenForm[]): string {
  return stringify({ network: rules }, { lineWidth: 0 });
}

export interface AddOptions {
  /** one line above the first rule that is added; control characters must not be in it */
  readonly comment: string;
}

/** `undefined`: there is no file yet. Throws `POLICY_INVALID` where the text is not one that rules can be added to. */
export function addRules(text: string | undefined, rules: readonly WrittenForm[], { comment }: AddOptions): string {
  const document = parseDocument(text ?? 'version: 1\n', { keepSourceTokens: false });
  if (document.errors.length > 0 || !isMap(document.contents)) {
    throw new CasemateError('POLICY_INVALID', 'the policy file cannot be read, so nothing is added to it', {
      hint: 'Run: casemate policy check',
    });
  }
  const style = styleOf(text, document);
  const nodes = rules.map((rule) => document.createNode(rule));
  const [first] = nodes;
  if (first !== undefined) {
    first.commentBefore = ` ${comment}`;
  }
  const network: unknown = document.get('network', true);
  if (isSeq(network)) {
    // A list in brackets holds no comment lines.
    if (network.items.length === 0 || network.flow === true) {
      network.flow = false;
    }
    network.items.push(...nodes);
  } else {
    const list = new YAMLSeq(document.schema);
    list.items.push(...nodes);
    document.set('network', list);
  }
  return document.toString(style);
}

const styles: readonly ToStringOptions[] = [2, 4].flatMap((indent) =>
  [true, false].flatMap((indentSeq) =>
    [true, false].map((flowCollectionPadding) => ({ indent, indentSeq, flowCollectionPadding, lineWidth: 0 })),
  ),
);

/** The style of writing that gives the text back as it is, or the one that changes the fewest lines of it. */
function styleOf(text: string | undefined, document: Document): ToStringOptions {
  const lines = new Set((text ?? '').split('\n'));
  const scored = styles.map((style) => ({
    style,
    changed: document
      .toString(style)
      .split('\n')
      .filter((line) => !lines.has(line)).length,
  }));
  return scored.toSorted((a, b) => a.changed - b.changed)[0]?.style ?? {};
}
