/** Files of a home that nobody owns: not part of what every home has, and of no sandbox that is there. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

export interface Owned {
  readonly id: string;
  /** of its container */
  readonly name: string;
  readonly runs: boolean;
}

/** What a home has for as long as it is there, below `casemate/`. */
const lasting: readonly RegExp[] = [
  /^config(\/(policy\.yaml|witness\.json|seal\.key))?$/,
  /^state(\/(sandboxes|daemon\.log|daemon\.lock(-journal)?|credentials\.sealed))?$/,
  /^state\/(state|usage)\.sqlite(-wal|-shm)?$/,
  /^state\/journal(\/(journal-\d{6}\.jsonl|writer\.lock(-journal)?|keys(\/(signing\.pem|signing\.pub\.pem|credential-hmac\.key))?))?$/,
  /^state\/engine(\/(sandboxes|slots|covers(\/empty(\.json)?)?|blanks(\/\d+(-\d+)?\.ext4)?))?$/,
  /^state\/(docker|podman)(\/sandboxes)?$/,
  /^run(\/(daemon\.sock|daemon-start-fault-\d+\.json|engine(\/(sandboxes|runc|runsc|probes(\/sandboxes)?))?))?$/,
  /^cache(\/npm)?$/,
];

/** Paths below `root` that should not be there. `root/casemate` is the home, `root/tmp` its temporary folder. */
export function strayFiles(root: string, sandboxes: readonly Owned[]): readonly string[] {
  const isOwned = ownedBy(join(root, 'casemate'), sandboxes);
  const inHome = pathsBelow(join(root, 'casemate')).filter((path) => !lasting.some((form) => form.test(path)) && !isOwned(path));
  return [...topmost(inHome).map((path) => `casemate/${path}`), ...readdirSync(join(root, 'tmp')).map((name) => `tmp/${name}`)];
}

function ownedBy(home: string, sandboxes: readonly Owned[]): (path: string) => boolean {
  const running = sandboxes.filter(({ runs }) => runs);
  const within = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);
  return (path) =>
    sandboxes.some(({ id }) => within(path, `state/sandboxes/${id}`)) ||
    running.some(
      ({ id, name }) =>
        within(path, `run/engine/sandboxes/${id}`) ||
        within(path, `run/engine/runc/${name}`) ||
        path === `state/engine/sandboxes/${id}.json` ||
        path === `state/engine/blanks/held-${id}.ext4` ||
        (path.startsWith('state/engine/slots/') && textOf(join(home, path)) === id),
    );
}

/** A folder may go while it is read: it is read again, a few times. */
function pathsBelow(folder: string, tries = 5): readonly string[] {
  try {
    return readOnce(folder);
  } catch (error) {
    if (tries === 0) {
      throw error;
    }
    return pathsBelow(folder, tries - 1);
  }
}

function readOnce(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) =>
    relative(folder, join(entry.parentPath, entry.name)),
  );
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** A folder stands for all that is in it. */
function topmost(paths: readonly string[]): readonly string[] {
  return paths.filter((path) => !paths.some((other) => path.startsWith(`${other}/`))).toSorted();
}
