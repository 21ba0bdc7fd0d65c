import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { verifyBundle } from '../../journal/bundle.ts';
import type { JournalRecord } from '../../journal/record.ts';
import { callerIn } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { same } from '../compare.ts';
import { eventually } from '../eventually.ts';
import { control, type Row } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import type { Lab } from '../lab/lab.ts';
import { effectsIn, settle, watch, watchJournal, watchWholeJournal } from '../oracle.ts';
import { tamperRows } from '../outside/tampered-journal.ts';
import type { ProbeTable } from '../probe.ts';

/** Whether the record is complete (G17), and whether a change to it is detected (G18). */

const requests = 12;
/** More than get a line of their own in a second, in waves that each are answered whole. */
const flood = { waves: 4, each: 120, pauseMs: 700 } as const;

const nonce = (): string => randomBytes(6).toString('hex');

const withMark = (records: readonly JournalRecord[], mark: string): readonly JournalRecord[] =>
  records.filter((record) => JSON.stringify(record).includes(mark));

const counted = (records: readonly JournalRecord[], action: string): number =>
  records.filter((record) => record.action === action).length;

export const journalProbes: ProbeTable = {
  'journal.every-exchange-once': {
    where: 'lab',
    title: 'have an exchange that leaves no record, or two',
    proves: ['G17'],
    profile: 'full',
    source: 'integrity is not completeness: reconciled with what arrived',
    async run(lab) {
      const marks = Array.from({ length: requests }, nonce);
      const [oracle, since, caller] = [watch(lab.world), await watchJournal(lab), callerIn(lab.twin)];
      for (const mark of marks) {
        const target = `/${mark}`;
        // oxlint-disable-next-line no-await-in-loop -- one after the other, as records are
        await caller.plain({ host: hosts.allowed }, [requestText({ host: hosts.allowed, target })]);
      }
      await settle(400);
      const records = await since();
      const arrived = marks.filter((mark) => oracle.with(mark).length === 1).length;
      const once = (action: string): number => marks.filter((mark) => counted(withMark(records, mark), action) === 1).length;
      const open = records.filter(({ action, subject }) => action === 'net.open' && subject.startsWith(hosts.allowed)).length;
      return {
        rows: [
          same('requests with exactly one record of their end', requests, once('net.exchange')),
          same('records that something was opened, for as many that arrived', arrived, open),
          control('requests that arrived outside, each once', {
            expected: String(requests),
            seen: String(arrived),
            ok: arrived === requests,
            from: 'outside',
          }),
        ],
      };
    },
  },
  'journal.flood-is-counted': {
    where: 'lab',
    title: 'flood the record with denials, so that some are lost or others pushed out',
    proves: ['G17'],
    profile: 'full',
    source: 'CWE-778; evidence rotated away',
    async run(lab) {
      const mark = nonce();
      const since = await watchWholeJournal(lab);
      const before = (await lab.records()).length;
      const caller = callerIn(lab.twin);
      // Many names, which are counted apart or together, and again and again one.
      const one = (index: number) => {
        const host = `f${index % 2 === 0 ? 0 : index}.${mark}.${hosts.denied}`;
        return caller.plain({ host }, [requestText({ host })], { quietMs: 10_000 });
      };
      let refused = 0;
      for (let wave = 0; wave < flood.waves; wave += 1) {
        // oxlint-disable-next-line no-await-in-loop -- wave after wave
        const answers = await Promise.all(Array.from({ length: flood.each }, (_, index) => one(wave * flood.each + index)));
        refused += answers.filter(({ text }) => text.includes(' 403 ')).length;
        // Below the rate at which connections are taken: those beyond it are recorded as refused and told nothing.
        // oxlint-disable-next-line no-await-in-loop -- as above
        await sleep(flood.pauseMs);
      }
      // What is summed up is written when its second is over; what is counted twice would be by then.
      await eventually(async () => (denials(await since()) >= refused ? true : undefined), 20_000);
      await settle(2500);
      const all = await lab.records();
      const records = await since();
      const summed = records.filter(
        ({ decision, detail }) => decision === 'deny' && Number(detail?.['repeated'] ?? 0) > 0,
      ).length;
      return {
        rows: [
          same('refusals in the journal, for as many that were answered', refused, denials(records)),
          same('earlier records that are still there', before, all.slice(0, before).length),
          control('refusals that are summed up', {
            expected: 'some',
            seen: `${summed} sums`,
            ok: summed > 0,
            from: 'outside',
          }),
          control('refused and told so', {
            expected: String(flood.waves * flood.each),
            seen: String(refused),
            ok: refused === flood.waves * flood.each,
            from: 'inside',
          }),
        ],
      };
    },
  },
  'journal.forged-lines': {
    where: 'lab',
    title: 'write a record of its own making through a text that is recorded',
    proves: ['G17'],
    profile: 'full',
    source: 'CWE-117',
    async run(lab) {
      const mark = nonce();
      const since = await watchJournal(lab);
      const forged = `${mark}"}\n{"seq":1,"action":"forged.${mark}","decision":"allow"}\r\n\u001B[2K`;
      const caller = callerIn(lab.twin);
      await lab.twin.target.inside(['true', forged]);
      await lab.twin.target.inside([forged.replaceAll('\n', ' ')]);
      await caller.plain({ host: hosts.allowed }, [
        requestText({ host: hosts.allowed, target: `/${encodeURIComponent(forged)}` }),
      ]);
      await caller.plain({ host: hosts.allowed }, [
        requestText({ host: hosts.allowed, target: `/${mark}-legal`, lines: [`User-Agent: ${mark}`] }),
      ]);
      await settle(300);
      const records = await since();
      const own = records.filter(({ action }) => action.startsWith('forged'));
      const { code } = await lab.casemate(['journal', 'verify']);
      const legal = counted(withMark(records, `${mark}-legal`), 'net.exchange');
      return {
        rows: [
          same('records with an action that a sandbox made up', 0, own.length),
          same('exit code of the verifier', 0, code),
          control('the legal request is on record', { expected: '1', seen: String(legal), ok: legal === 1, from: 'outside' }),
        ],
      };
    },
  },
  'journal.tamper': {
    where: 'lab',
    title: 'change, remove, reorder, repeat or cut off records without being found out',
    proves: ['G18'],
    profile: 'full',
    source: 'RFC 6962; a chain without a signed head says "valid" after losing its tail',
    async run(lab) {
      const folder = await signedBundle(lab);
      try {
        return { rows: [...(await tamperRows(folder)), await liveRow(lab)] };
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  },
};

/** A bundle whose records are all signed and witnessed: the newest are chained only, until the next checkpoint, some seconds later. */
async function signedBundle(lab: Lab): Promise<string> {
  const found = await eventually(async () => {
    const folder = join(lab.folder, `bundle-${nonce()}`);
    const { code } = await lab.casemate(['journal', 'export', '--format', 'bundle', '--output', folder]);
    const verdict = code === 0 ? await verifyBundle(folder) : undefined;
    if (verdict?.unsigned === 0 && verdict.witnessed === verdict.signedThrough) {
      return folder;
    }
    await rm(folder, { recursive: true, force: true });
    return undefined;
  }, 20_000);
  if (found === undefined) {
    throw new Error('the journal cannot be exported with all of its records signed');
  }
  return found;
}

/** Each denial is a line, or is counted in one that sums up a second of them. */
function denials(records: readonly JournalRecord[]): number {
  return effectsIn(records.filter(({ action, decision }) => action === 'net.exchange' && decision === 'deny'));
}

async function liveRow(lab: Lab): Promise<Row> {
  const { code, out } = await lab.casemate(['journal', 'verify']);
  return control('the journal of the lab itself', {
    expected: 'valid',
    seen: code === 0 ? 'valid' : out.toString('utf8').slice(0, 200),
    ok: code === 0,
    from: 'outside',
  });
}
