import { hash } from 'node:crypto';

import { CasemateError } from '../base/errors.ts';
import type { JournalEntry, JournalRecord } from './record.ts';

/** Encodes a record as one line of canonical JSON (RFC 8785), so that two different records never have the same bytes. */

/** Bytes of the longest line, its line feed included. */
export const maxLineBytes = 64 * 1024;

/** What the first record names as the line before it. */
export const noLine = '0'.repeat(64);

const maxText = 2048;
const maxTextWhenCrowded = 200;
const maxDetails = 24;
const detailName = /^[A-Za-z][\w.-]{0,63}$/;
const actionName = /^[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*$/;

/** SHA-256 of a line without its line feed, hex. */
export function lineHash(line: string | Uint8Array): string {
  return hash('sha256', line, 'hex');
}

/**
 * The line of a record, without line feed. The members are written in the order RFC 8785 asks for, and `JSON.stringify`
 * writes texts and numbers as it asks for; a property test compares with a general implementation.
 */
export function encodeRecord(record: JournalRecord): string {
  const { action, actor, credential, decision, detail, outcome, policy, previous, rule, sandbox, seq, subject, time } = record;
  const sorted = detail === undefined ? undefined : sortedDetail(detail);
  return JSON.stringify({
    action,
    actor,
    credential,
    decision,
    detail: sorted,
    outcome,
    policy,
    previous,
    rule,
    sandbox,
    seq,
    subject,
    time,
  });
}

function sortedDetail(detail: NonNullable<JournalEntry['detail']>): NonNullable<JournalEntry['detail']> {
  // No name is a number (see `detailName`), so an object keeps the order in which they are put in.
  const names = Object.keys(detail);
  if (isSorted(names)) {
    return detail;
  }
  const sorted: Record<string, string | number | boolean> = {};
  for (const name of names.toSorted()) {
    const value = detail[name];
    if (value !== undefined) {
      sorted[name] = value;
    }
  }
  return sorted;
}

function isSorted(names: readonly string[]): boolean {
  for (let index = 1; index < names.length; index += 1) {
    if ((names[index - 1] ?? '') > (names[index] ?? '')) {
      return false;
    }
  }
  return true;
}

/** What the chain gives to an entry. */
export interface Place {
  readonly seq: number;
  readonly time: string;
  readonly previous: string;
}

/**
 * The record of an entry and its line. Whatever a sandbox put into the texts, it fits: long texts are cut and end in their
 * length and digest, lone surrogates become U+FFFD. Throws `INTERNAL` for names or numbers no caller of ours may use.
 */
export function placeEntry(entry: JournalEntry, place: Place): { record: JournalRecord; line: string } {
  checkEntry(entry);
  const record = fitted(entry, place, maxText);
  const line = encodeRecord(record);
  // A character takes six bytes at most; only then measure.
  if (line.length * 3 < maxLineBytes || Buffer.byteLength(line) < maxLineBytes) {
    return { record, line };
  }
  const crowded = fitted(entry, place, maxTextWhenCrowded);
  return { record: crowded, line: encodeRecord(crowded) };
}

function checkEntry({ action, decision, detail }: JournalEntry): void {
  if (action.length > 64 || !actionName.test(action) || !['allow', 'deny', 'none'].includes(decision)) {
    throw new CasemateError('INTERNAL', `the journal cannot hold the action ${JSON.stringify(action)} with decision ${decision}`);
  }
  if (detail === undefined) {
    return;
  }
  const names = Object.keys(detail);
  if (names.length > maxDetails) {
    throw new CasemateError('INTERNAL', `the journal entry ${action} has ${names.length} details; ${maxDetails} are the limit`);
  }
  for (const name of names) {
    const value = detail[name];
    if (!detailName.test(name) || (typeof value === 'number' && !Number.isFinite(value))) {
      throw new CasemateError('INTERNAL', `the journal entry ${action} cannot hold the detail ${JSON.stringify(name)}`);
    }
  }
}

function fitted(entry: JournalEntry, place: Place, limit: number): JournalRecord {
  const { action, actor, credential, decision, detail, outcome, policy, rule, sandbox, subject } = entry;
  const optional = (text: string | undefined): string | undefined => (text === undefined ? undefined : cutText(text, limit));
  return {
    action,
    actor: cutText(actor, limit),
    credential: optional(credential),
    decision,
    detail: detail === undefined ? undefined : fittedDetail(detail, limit),
    outcome: cutText(outcome, limit),
    policy: optional(policy),
    previous: place.previous,
    rule: optional(rule),
    sandbox: optional(sandbox),
    seq: place.seq,
    subject: cutText(subject, limit),
    time: place.time,
  };
}

function fittedDetail(detail: NonNullable<JournalEntry['detail']>, limit: number): NonNullable<JournalEntry['detail']> {
  const facts: Record<string, string | number | boolean> = {};
  const names = Object.keys(detail);
  // In the order in which they are written, so that they need not be put in another object for that.
  for (const name of isSorted(names) ? names : names.toSorted()) {
    const value = detail[name];
    if (value !== undefined) {
      facts[name] = typeof value === 'string' ? cutText(value, limit) : value;
    }
  }
  return facts;
}

function cutText(text: string, limit: number): string {
  if (text.length <= limit) {
    return text.isWellFormed() ? text : text.toWellFormed();
  }
  const digest = hash('sha256', text, 'hex').slice(0, 16);
  return `${text.slice(0, limit)}... [${text.length} characters, sha256 ${digest}]`.toWellFormed();
}
