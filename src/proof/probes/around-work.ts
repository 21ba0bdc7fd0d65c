import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { attack, control, type Row } from '../finding.ts';
import type { Bench, ProbeTable } from '../probe.ts';
import { textMap } from '../read-answer.ts';
import type { Watch } from '../watch/watch.ts';

/** What a sandbox leaves in its working folder, read on this host afterwards. */

export const aroundWorkProbes: ProbeTable = {
  'around.planted-names': {
    where: 'watched',
    title: 'plant files in the working folder that tools of the host act on by themselves',
    proves: ['G5', 'G7'],
    profile: 'full',
    source: 'CVE-2026-25725; git hooks, editor tasks, settings of agents',
    asks: ['leave_behind'],
    async run(bench, watch) {
      const left = leftBehind(bench);
      if (left === undefined) {
        return { notApplicable: 'the working folder is not in this sandbox' };
      }
      const { protectedNames } = watch.canaries;
      const rows = await Promise.all(protectedNames.map((name) => plantedRow(watch, name, left[`write ${name}`])));
      return {
        rows: [
          ...rows,
          await plantedRow(watch, '.vscode/tasks.json', left['move .vscode'], 'put another .vscode in the place of the first'),
          await ordinaryRow(watch, left),
        ],
      };
    },
  },
  'around.left-behind': {
    where: 'watched',
    title: 'leave a file with set-id bits, a device or a file of another user in the working folder',
    proves: ['G3'],
    profile: 'full',
    source: 'CIS Docker 5.31; set-id files outlive the sandbox',
    asks: ['leave_behind'],
    async run(bench, watch) {
      const left = leftBehind(bench);
      if (left === undefined) {
        return { notApplicable: 'the working folder is not in this sandbox' };
      }
      const work = watch.folders.work;
      const [plain, setId, device] = await Promise.all(['ordinary', 'set-id', 'device'].map((name) => look(join(work, name))));
      const owner = (await look(work))?.uid;
      const bits = ((setId?.mode ?? 0) & 0o6000).toString(8);
      const special = device !== undefined && !device.isFile();
      const outside = { from: 'outside' as const };
      return {
        rows: [
          attack('set-id bits', { expected: '0', seen: `${bits} (${left['set-id'] ?? ''})`, ok: bits === '0', ...outside }),
          attack('a device', {
            expected: 'none',
            seen: special ? 'a device' : `none (${left['device'] ?? ''})`,
            ok: !special,
            ...outside,
          }),
          attack('owner of what it wrote', {
            expected: `${owner}, as the folder`,
            seen: plain === undefined ? 'nothing was written' : String(plain.uid),
            ok: plain === undefined || owner === undefined ? undefined : plain.uid === owner,
            ...outside,
          }),
          await ordinaryRow(watch, left),
        ],
      };
    },
  },
};

function leftBehind(bench: Bench): Readonly<Record<string, string>> | undefined {
  const left = textMap(bench.answer('leave_behind'));
  return left['folder'] === 'none' ? undefined : left;
}

async function plantedRow(watch: Watch, name: string, said = 'not tried', what = `write ${name}`): Promise<Row> {
  const text = await readFile(join(watch.folders.work, name), 'utf8').catch(() => '');
  const planted = text.includes(watch.canaries.nonce);
  return attack(what, {
    expected: 'not on this host',
    seen: planted ? 'it is on this host' : `not on this host (${said})`,
    ok: !planted,
    from: 'outside',
  });
}

async function ordinaryRow(watch: Watch, left: Readonly<Record<string, string>>): Promise<Row> {
  const text = await readFile(join(watch.folders.work, 'ordinary'), 'utf8').catch(() => '');
  const ok = text.includes(watch.canaries.nonce);
  return control('write an ordinary file there', {
    expected: 'on this host',
    seen: ok ? 'on this host' : `not on this host (${left['ordinary'] ?? left['folder'] ?? ''})`,
    ok,
    from: 'outside',
  });
}

async function look(path: string) {
  return await lstat(path).catch(() => undefined);
}
