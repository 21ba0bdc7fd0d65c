import { randomBytes } from 'node:crypto';
import { appendFile, chmod, copyFile, lstat, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { run } from '../../system/process.ts';
import { none, same } from '../compare.ts';
import { attack, control, type Row } from '../finding.ts';
import { readProcess } from '../host-view.ts';
import { segment } from '../../engines/docker/docker-client.ts';
import { fieldsOf, textOf } from '../../engines/docker/read-json.ts';
import { dockerParts, labContext } from '../lab/docker-view.ts';
import { lyingEngine, runtimeSays } from '../lab/lying-engine.ts';
import type { Lab } from '../lab/lab.ts';
import { rootInside } from '../lab/root-inside.ts';
import type { Bench, ProbeTable } from '../probe.ts';
import type { Inside } from '../target.ts';

/** Images by their digest, and runtimes by their version (G25). */

export const imageProbes: ProbeTable = {
  'images.changed': {
    where: 'lab',
    title: 'have a changed image pass: a byte, a mode, a file more or less, a capability, its record, its lock, its name',
    proves: ['G25'],
    profile: 'full',
    source: 'tags that move; labels taken for settings; CVE-2024-24557 class of cache poisoning',
    async run(lab, bench) {
      const { uid } = bench;
      const { image } = lab.twin.target.plan ?? {};
      if (image?.digest === undefined || uid !== 0) {
        return { notApplicable: 'files of an image belong to ids that only root can copy' };
      }
      const copy = await copyStore(lab, image.digest);
      const rows = [
        ...(await verifyRows(lab, copy, image.recipe)),
        ...(await recordRows(lab, copy, image.recipe)),
        await rootRow(lab, image.digest, bench),
      ];
      await run('rm', ['-rf', '--one-file-system', '--', copy.store], { env: tools });
      return { rows };
    },
  },
  'images.written': {
    where: 'lab',
    title: 'change the image that a sandbox runs from, as root of it',
    proves: ['G25'],
    profile: 'full',
    source: 'CVE-2026-31431: one page of a shared layer changed, and every sandbox with it',
    run: async (lab) => ({ rows: await writtenRows(lab) }),
  },
  'images.runtime-floor': {
    where: 'lab',
    title: 'run sandboxes by a runtime with known flaws, by another under its name, and by one that says no version',
    proves: ['G25', 'G2'],
    profile: 'full',
    source: 'CVE-2024-21626; silent fall-back of runtime classes',
    async run(lab) {
      const { runtime = 'runc' } = lab.twin.target.plan ?? {};
      const rows = await floorRows(lab, runtime);
      return { rows };
    },
  },
};

/** Of a flaw that Debian's own package has the fix of: what is installed beside it does not count. */
const knownBad: Readonly<Record<string, string>> = {
  runc: 'runc version 1.1.5',
  crun: 'crun version 1.4.0',
  runsc: 'runsc version release-20200101.0',
};

const tools = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

interface Copy {
  readonly store: string;
  /** of the one image in it */
  readonly folder: string;
}

const folderOf = (digest: string): string => digest.replace(':', '-');

/** Hard links to the files of the image: what is to be changed is replaced by a copy first, so that the image itself stays. */
async function copyStore(lab: Lab, digest: string): Promise<Copy> {
  const images = lab.env['CASEMATE_IMAGES'] ?? '';
  const store = join(lab.folder, 'images');
  const folder = join(store, folderOf(digest));
  await mkdir(store, { mode: 0o700 });
  await run('cp', ['-a', '--link', '--', join(images, folderOf(digest)), folder], { env: tools });
  for (const name of await readdir(folder)) {
    // oxlint-disable-next-line no-await-in-loop -- a handful
    if ((await lstat(join(folder, name))).isFile()) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await unlink(join(folder, name));
    }
  }
  return { store, folder };
}

/** A file of its own in place of the link. */
async function unlink(path: string): Promise<void> {
  await copyFile(path, `${path}.own`);
  const { mode, uid, gid } = await lstat(path);
  await run('chown', [`${uid}:${gid}`, `${path}.own`], { env: tools });
  await chmod(`${path}.own`, mode & 0o7777);
  await rename(`${path}.own`, path);
}

const withStore = (lab: Lab, { store }: Copy, args: readonly string[]) =>
  lab.casemate(args, { env: { CASEMATE_IMAGES: store }, timeoutMs: 120_000 });

/** All at once, for each reads the whole image; the answer names each. */
async function verifyRows(lab: Lab, copy: Copy, recipe: string): Promise<readonly Row[]> {
  const whole = await withStore(lab, copy, ['image', 'verify', recipe]);
  const root = join(copy.folder, 'rootfs');
  const changed = ['usr/bin/env', 'usr/bin/cat', 'usr/bin/sleep', 'usr/bin/planted', 'usr/bin/head'];
  await Promise.all(changed.filter((path) => !path.endsWith('planted')).map((path) => unlink(join(root, path))));
  await appendFile(join(root, 'usr/bin/env'), 'x');
  await chmod(join(root, 'usr/bin/cat'), 0o4755);
  await run('setcap', ['cap_net_raw+ep', join(root, 'usr/bin/sleep')], { env: tools }).catch(() => undefined);
  await writeFile(join(root, 'usr/bin/planted'), '#!/bin/sh\n');
  await rm(join(root, 'usr/bin/head'));
  const { code, out } = await withStore(lab, copy, ['image', 'verify', recipe]);
  const said = out.toString('utf8');
  const canSetCapabilities = (await run('getcap', [join(root, 'usr/bin/sleep')], { env: tools }).catch(() => undefined))?.stdout
    .length;
  const unnoticed = changed.filter(
    (path) => !said.includes(`/${path}`) && (path !== 'usr/bin/sleep' || (canSetCapabilities ?? 0) > 0),
  );
  return [
    same('exit code of a verification of the changed image', 'not 0', code === 0 ? '0' : 'not 0'),
    none('changes that it does not name', unnoticed),
    control('a verification of the image as it was', {
      expected: '0',
      seen: String(whole.code),
      ok: whole.code === 0,
      from: 'outside',
    }),
  ];
}

async function recordRows(lab: Lab, copy: Copy, recipe: string): Promise<readonly Row[]> {
  const plan = ['image', 'show', recipe];
  const whole = await withStore(lab, copy, plan);
  const rows: Row[] = [];
  for (const [name, change] of [
    ['image.json', (text: string) => text.replace(/"bytes": ?\d+/, '"bytes": 1')],
    ['image.json', (text: string) => text.replace(/sha256:[0-9a-f]{8}/, 'sha256:00000000')],
    ['lock.json', (text: string) => text.replace(/"version": ?"/, '$&0')],
  ] as const) {
    const path = join(copy.folder, name);
    // oxlint-disable-next-line no-await-in-loop -- one after the other in the same place
    const text = await readFile(path, 'utf8');
    // oxlint-disable-next-line no-await-in-loop -- as above
    await writeFile(path, change(text));
    // oxlint-disable-next-line no-await-in-loop -- as above
    rows.push(refusedRow(`an image whose ${name} was changed`, await withStore(lab, copy, plan)));
    // oxlint-disable-next-line no-await-in-loop -- as above
    await writeFile(path, text);
  }
  const other = join(copy.store, `sha256-${'b'.repeat(64)}`);
  await rename(copy.folder, other);
  rows.push(refusedRow('an image under the digest of another', await withStore(lab, copy, plan)));
  await rename(other, copy.folder);
  return [
    ...rows,
    control('the record as it was', { expected: '0', seen: String(whole.code), ok: whole.code === 0, from: 'outside' }),
  ];
}

function refusedRow(what: string, { code, err }: { readonly code: number; readonly err: Buffer }): Row {
  const said = err.toString('utf8');
  return attack(what, {
    expected: 'refused',
    seen: code === 0 ? 'taken' : `refused: ${said.slice(0, 100)}`,
    ok: code !== 0,
    from: 'outside',
  });
}

/**
 * Field 4 of the line of `/` in mountinfo is where in its file system the root lies (proc(5)). gVisor has a root of its own and
 * shows programs the image through its file server, which is among its processes.
 */
async function rootRow(lab: Lab, digest: string, { ownKernel }: Bench): Promise<Row> {
  if (lab.twin.target.plan?.engine !== 'oci') {
    return await copyRow(lab, digest);
  }
  const pids = await lab.twin.target.processes();
  const texts = await Promise.all((ownKernel ? pids : pids.slice(0, 1)).map((pid) => readProcess(pid, 'mountinfo')));
  const rows = texts.flatMap((text) => text.split('\n').map((line) => line.split(' ')));
  const places = rows.filter((fields) => ownKernel || fields[4] === '/').map((fields) => fields[3] ?? '');
  const place = places.find((one) => one.includes(folderOf(digest))) ?? places.find((one) => one !== '') ?? '';
  return attack('the root of a running sandbox', {
    expected: 'the image of the planned digest',
    seen: place,
    ok: place === '' ? undefined : place.includes(folderOf(digest)),
    from: 'outside',
  });
}

/** An engine that has images of its own got a copy, once: it names it by its content, and says which digest it was made of. */
async function copyRow(lab: Lab, digest: string): Promise<Row> {
  const { sandbox } = await dockerParts(lab, lab.twin);
  const id = textOf(sandbox['Image']);
  const told = fieldsOf(await labContext(lab).client.must('GET', `/images/${segment(id)}/json`));
  const seen = textOf(told['Comment']);
  return attack('what the copy of the image was made of, under a running sandbox', {
    expected: `casemate ${digest}`,
    seen,
    ok: seen === '' ? undefined : seen === `casemate ${digest}`,
    from: 'outside',
  });
}

/** Nothing of the image is harmed where it gets through: files are made that the host takes away, others are only opened. */
async function writtenRows(lab: Lab): Promise<readonly Row[]> {
  const { image } = lab.twin.target.plan ?? {};
  const root = join(lab.env['CASEMATE_IMAGES'] ?? '', folderOf(image?.digest ?? ''), 'rootfs');
  const name = `planted-${randomBytes(6).toString('hex')}`;
  const script =
    'mount -o remount,rw / 2>/dev/null; for at in "" /proc/1/root /proc/self/root; do for folder in usr/bin etc usr/lib; do ' +
    '(echo x > "$at/$folder/$1") 2>/dev/null && echo "made $at/$folder/$1"; done; for file in usr/bin/env etc/passwd; do ' +
    '(: >> "$at/$file") 2>/dev/null && echo "opened $at/$file"; chmod u+r "$at/$file" 2>/dev/null && echo "mode of $at/$file"; done; done; ' +
    'echo mine > /tmp/mine; cat /tmp/mine';
  const rows: Row[] = [];
  for (const [who, inside] of [['agent', lab.twin.target.inside] as const, ['root', rootInside(lab, lab.twin)] as const]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { out } = await inside(['sh', '-c', script, 'sh', name]);
    const [mine = '', ...got] = out.toString('utf8').trim().split('\n').toReversed();
    const left = ['usr/bin', 'etc', 'usr/lib'].map((folder) => join(root, folder, name));
    // oxlint-disable-next-line no-await-in-loop -- as above
    const there = await Promise.all(
      left.map(async (path) => ((await lstat(path).catch(() => undefined)) === undefined ? [] : [path])),
    );
    // oxlint-disable-next-line no-await-in-loop -- as above
    await Promise.all(left.map((path) => rm(path, { force: true })));
    rows.push(
      none(`files that ${who} made in the image on the host`, there.flat()),
      none(`what ${who} could change in the image`, got, 'inside'),
      control(`a file of its own, as ${who}`, { expected: 'mine', seen: mine, ok: mine === 'mine' }),
    );
  }
  return rows;
}

/** A program of ours that says another version and is the runtime otherwise, first in the PATH of a daemon of its own. */
async function floorRows(lab: Lab, runtime: string): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const stand = isDocker(lab) ? await dockerStandIn(lab) : plainStandIn(lab, runtime);
  for (const [what, says] of Object.entries({
    'a version with known flaws': knownBad[runtime] ?? `${runtime} version 0.1.0`,
    'that it is another': runtime === 'runc' ? 'crun version 1.8.1' : 'runc version 1.4.0',
    nothing: 'hello',
  })) {
    // oxlint-disable-next-line no-await-in-loop -- one daemon after the other
    const { code, err } = await runBy(lab, await stand.in(says));
    const said = err.toString('utf8').trim();
    rows.push(
      attack(`a runtime that says ${what}`, {
        expected: 'refused, with its name',
        seen: code === 0 ? 'a sandbox ran' : said.slice(0, 160),
        ok: code !== 0 && said.includes('runtime-floor') && said.includes(runtime),
        from: 'outside',
      }),
    );
  }
  const { code, err } = await runBy(lab, await stand.in(undefined));
  await stand.close();
  await lab.daemon.stop();
  await lab.daemon.start();
  await lab.casemate(['start', lab.twin.name]);
  return [
    ...rows,
    control('the runtime that is installed', {
      expected: '0',
      seen: `${code} ${err.toString('utf8').slice(0, 160)}`.trim(),
      ok: code === 0,
      from: 'outside',
    }),
  ];
}

/** Says what it is told to in place of the runtime; `undefined`: what is installed. */
interface StandIn {
  readonly in: (says: string | undefined) => Promise<Readonly<Record<string, string>>>;
  readonly close: () => Promise<void>;
}

const isDocker = ({ twin }: Lab): boolean => twin.target.plan?.engine !== 'oci';

/** The runtime is the engine's, and so is what is said of it. */
async function dockerStandIn(lab: Lab): Promise<StandIn> {
  const engine = await lyingEngine(lab);
  return {
    async in(says) {
      const [, Name = 'runc', Version = ''] = /^(\w+) version (.*)$/.exec(says ?? '') ?? [];
      engine.say(says === undefined ? undefined : runtimeSays({ Name, Version }));
      return engine.env;
    },
    close: engine.close,
  };
}

/** First in the PATH of whoever starts it. */
function plainStandIn(lab: Lab, runtime: string): StandIn {
  const folder = join(lab.folder, 'stand-in');
  const path = lab.env['PATH'] ?? '';
  return {
    async in(says) {
      await mkdir(folder, { recursive: true });
      const program = `#!/bin/sh\ncase "$*" in *--version*) echo '${says ?? ''}'; exit 0 ;; esac\nPATH='${path}' exec ${runtime} "$@"\n`;
      await writeFile(join(folder, runtime), program, { mode: 0o755 });
      return says === undefined ? {} : { PATH: `${folder}:${path}` };
    },
    close: () => Promise.resolve(),
  };
}

/** The daemon is started by the command. */
async function runBy(lab: Lab, env: Readonly<Record<string, string>>): Promise<Inside> {
  const work = join(lab.folder, 'work-stand-in');
  await mkdir(work, { recursive: true });
  await lab.give(work);
  await lab.daemon.stop();
  return await lab.casemate(['run', '--', 'true'], { cwd: work, env });
}
