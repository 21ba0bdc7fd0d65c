import { readFile, stat } from 'node:fs/promises';

import { attack, control, type Row } from '../finding.ts';
import type { Bench, ProbeTable } from '../probe.ts';
import { text, textMap } from '../read-answer.ts';

/** Files, keys and processes of this host as a sandbox sees them, decided by canaries, which exist nowhere else. */

const ownFile = (bench: Bench): Row => {
  const seen = text(bench.answer('own_file'));
  return control('write a file of its own', { expected: 'DONE', seen, ok: seen === 'DONE' });
};

export const aroundHostProbes: ProbeTable = {
  'around.canaries': {
    where: 'watched',
    title: 'read, change and make files of this host beside its working folder',
    proves: ['G4'],
    profile: 'full',
    source: 'gh-aw credential hiding; CVE-2024-21626 class',
    asks: ['host_canaries', 'own_file'],
    async run(bench, { canaries }) {
      const answers = textMap(bench.answer('host_canaries'));
      const files = Object.entries(canaries.files);
      const rows = await Promise.all(
        files.flatMap(([path, value]) => canaryRows(path, value, { answers, nonce: canaries.nonce })),
      );
      const made = await isThere(canaries.mark);
      return {
        rows: [
          ...rows.flat(),
          attack('make a file beside the working folder', {
            expected: 'not on this host',
            seen: made ? 'it is there' : `not there (${answers[`make ${canaries.mark}`] ?? ''})`,
            ok: !made,
            from: 'outside',
          }),
          ownFile(bench),
        ],
      };
    },
  },
  'around.files': {
    where: 'watched',
    title: 'open files of this host: its settings, homes, logs and programs',
    proves: ['G4'],
    profile: 'full',
    asks: ['readable_files', 'own_file'],
    async run(bench) {
      const found = Object.entries(textMap(bench.answer('readable_files')));
      const same = await sameFiles(found);
      const some = same.length === 0 ? 'none' : `${same.length}, among them ${same.slice(0, 3).join(' ')}`;
      return {
        rows: [
          attack(`files of this host among ${found.length} that could be opened`, {
            expected: 'none',
            seen: some,
            ok: same.length === 0,
            from: 'outside',
          }),
          ownFile(bench),
        ],
      };
    },
  },
  'around.home-secrets': {
    where: 'watched',
    title: 'read credentials of agents and developers in its home',
    proves: ['G13'],
    profile: 'full',
    source: 'sandboxes that mount the home of the agent',
    asks: ['home_canaries', 'own_file'],
    async run(bench, { canaries }) {
      const values = new Set(Object.values(canaries.credentials));
      const rows = Object.entries(textMap(bench.answer('home_canaries'))).map(([path, said]) =>
        attack(`read ${path}`, {
          expected: 'no credential of this host',
          seen: values.has(said) ? 'the credential' : said,
          ok: !values.has(said),
          from: 'outside',
        }),
      );
      return { rows: [...rows, ownFile(bench)] };
    },
  },
  'around.environment': {
    where: 'watched',
    title: 'find keys in its environment that were in that of whoever started it',
    proves: ['G13'],
    profile: 'full',
    source: 'CIS Docker 4.10',
    asks: ['environment_canaries'],
    run(bench, { canaries }) {
      if (Object.keys(canaries.variables).length === 0) {
        return Promise.resolve({ notApplicable: 'no key was put into the environment of whoever started it' });
      }
      const { count = '0', ...found } = textMap(bench.answer('environment_canaries'));
      const inside = new Set(Object.values(found));
      const rows = Object.entries(canaries.variables).map(([name, value]) =>
        attack(`$${name}`, {
          expected: 'not inside',
          seen: inside.has(value) ? 'the key' : 'not inside',
          ok: !inside.has(value),
          from: 'outside',
        }),
      );
      const some = control('variables of its own', { expected: 'some', seen: count, ok: Number(count) > 0 });
      return Promise.resolve({ rows: [...rows, some] });
    },
  },
  'around.process': {
    where: 'watched',
    title: 'see a process of this host, read its environment, signal it',
    proves: ['G4', 'G20'],
    profile: 'full',
    source: 'CIS Docker 5.16',
    asks: ['host_process'],
    run(bench, { canaries: { process: host } }) {
      const { seen = '', itself = '', environment = 'not tried', signal = 'not tried' } = textMap(bench.answer('host_process'));
      const found = seen.startsWith('process ');
      return Promise.resolve({
        rows: [
          attack('see it in /proc', { expected: 'no', seen, ok: seen === 'no' ? true : found ? false : undefined }),
          attack('read its environment', {
            expected: 'no canary',
            seen: environment === host.value ? 'the canary' : environment,
            ok: environment !== host.value,
            from: 'outside',
          }),
          attack('signal it', { expected: 'ESRCH or EPERM', seen: signal, ok: signal !== 'DONE' }),
          control('see itself in /proc', { expected: 'seen', seen: itself, ok: itself === 'seen' }),
          control('the process is there', { expected: 'alive', ...alive(host.pid), from: 'outside' }),
        ],
      });
    },
  },
};

interface Tried {
  readonly answers: Readonly<Record<string, string>>;
  /** what the probe writes */
  readonly nonce: string;
}

async function canaryRows(path: string, value: string, { answers, nonce }: Tried): Promise<readonly Row[]> {
  const said = answers[`read ${path}`] ?? 'no answer';
  const written = answers[`write ${path}`] ?? 'no answer';
  const kept = await readFile(path, 'utf8').catch(() => '');
  const changed = !kept.includes(value) || kept.includes(nonce);
  return [
    attack(`read ${path}`, {
      expected: 'nothing',
      seen: said === value ? 'the canary' : said,
      ok: said !== value,
      from: 'outside',
    }),
    attack(`write ${path}`, {
      expected: 'unchanged on this host',
      seen: changed ? 'it was changed' : `unchanged (${written})`,
      ok: !changed,
      from: 'outside',
    }),
  ];
}

async function sameFiles(found: readonly (readonly [string, string])[]): Promise<readonly string[]> {
  const same = await Promise.all(
    found.map(async ([path, identity]) => {
      const own = await stat(path).catch(() => undefined);
      return own !== undefined && `${own.dev}:${own.ino}` === identity;
    }),
  );
  return found.filter((_, index) => same[index]).map(([path]) => path);
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function alive(pid: number): { readonly seen: string; readonly ok: boolean } {
  try {
    return process.kill(pid, 0) ? { seen: 'alive', ok: true } : { seen: 'gone', ok: false };
  } catch {
    return { seen: 'gone', ok: false };
  }
}
