import type { Mutant } from './mutant.ts';

/** Guards of the record: that it is whole, and that a change of it is found. */
export const journalMutants: readonly Mutant[] = [
  {
    name: 'journal-tail-unguarded',
    weakens: 'a journal that ends before the record the witness has seen is called valid',
    file: 'src/journal/verify-journal.ts',
    find: 'if (witness !== undefined && witness.seq > seq) {',
    replace: 'if (witness !== undefined && witness.seq > seq && seq < 0) {',
    also: [
      {
        file: 'src/journal/verify-journal.ts',
        find: 'if (witness !== undefined && witness.hash !== chain.wantedHash) {',
        replace: 'if (witness !== undefined && chain.wantedHash !== undefined && witness.hash !== chain.wantedHash) {',
      },
    ],
    caughtBy: ['journal.tamper'],
  },
  {
    name: 'journal-chain-unchecked',
    weakens: 'the order and the hashes of records are not compared, within a block and between blocks',
    file: 'src/journal/scan-block.ts',
    find: 'export function orderFault(',
    replace:
      'export function orderFault(..._given: readonly unknown[]): string | undefined {\n  return undefined;\n}\n\nexport function orderFaultOfTheProduct(',
    caughtBy: ['journal.tamper'],
  },
  {
    name: 'journal-unsigned',
    weakens: 'signatures of checkpoints are not checked, and the witness is not compared with the record it names',
    file: 'src/journal/checkpoint.ts',
    find: "return asMade && verify(null, signed, publicKey, Buffer.from(signature, 'hex'))",
    replace: 'return asMade || signed.length > 0 || signature.length > 0',
    also: [
      {
        file: 'src/journal/verify-journal.ts',
        find: 'if (witness !== undefined && witness.hash !== chain.wantedHash) {',
        replace: 'if (witness !== undefined && witness.hash !== chain.wantedHash && chain.records < 0) {',
      },
    ],
    caughtBy: ['journal.tamper'],
  },
  {
    name: 'journal-exchange-twice',
    weakens: 'the end of an exchange is recorded twice',
    file: 'src/gateway/records.ts',
    find: "ends.add(entryOf(whole, { action: 'net.exchange', decision: 'allow', outcome }));",
    replace:
      "ends.add(entryOf(whole, { action: 'net.exchange', decision: 'allow', outcome }));\n      ends.add(entryOf(whole, { action: 'net.exchange', decision: 'allow', outcome }));",
    caughtBy: ['journal.every-exchange-once'],
  },
  {
    name: 'journal-exchange-unrecorded',
    weakens: 'what is opened is not recorded',
    file: 'src/gateway/records.ts',
    find: "const isWritten = await write(entryOf(effect, { action: 'net.open', decision: 'allow', outcome: 'ok' }));",
    replace: 'const isWritten = await Promise.resolve(true);',
    caughtBy: ['journal.every-exchange-once'],
  },
  {
    name: 'journal-flood-lost',
    weakens: 'of a flood of denials only the first few that get no record of their own are counted',
    file: 'src/journal/summarise.ts',
    find: 'bucket.count += 1;',
    replace: 'bucket.count = Math.min(bucket.count + 1, 5);',
    caughtBy: ['journal.flood-is-counted'],
  },
  {
    name: 'journal-quotes-unescaped',
    weakens: 'a quote in a text that is recorded ends the text, so that what follows can name another action',
    file: 'src/journal/encode-record.ts',
    find: '  return JSON.stringify({\n    action,\n',
    replace:
      '  const texts = JSON.stringify([subject, detail]).replaceAll("\\\\", "");\n  return JSON.stringify({\n    action: /"action":"(forged\\.\\w+)"/.exec(texts)?.[1] ?? action,\n',
    caughtBy: ['journal.forged-lines'],
  },
];
