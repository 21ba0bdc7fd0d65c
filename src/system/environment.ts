import { isAbsolute, normalize, sep } from 'node:path';

/** The process environment. Only this file reads it; all other code is handed an `Environment`. */
export interface Environment {
  /** The value of a variable; an empty one counts as absent. */
  readonly get: (name: string) => string | undefined;
  readonly names: () => readonly string[];
}

export function environmentOf(values: Readonly<Record<string, string | undefined>>): Environment {
  return {
    get(name) {
      const value = Object.hasOwn(values, name) ? values[name] : undefined;
      return value === undefined || value === '' ? undefined : value;
    },
    names: () => Object.keys(values),
  };
}

export const processEnvironment: Environment = environmentOf(process.env);

/** What a program we start on the host needs to run at all and to find its own settings; never a credential. */
const passedOn = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'XDG_RUNTIME_DIR',
  'DBUS_SESSION_BUS_ADDRESS',
] as const;

const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function baseEnvironment(env: Environment): Record<string, string> {
  const result: Record<string, string> = {};
  for (const name of passedOn) {
    const value = env.get(name);
    if (value !== undefined) {
      result[name] = value;
    }
  }
  const path = programFolders(env).join(':');
  return { ...result, PATH: path === '' ? usualPath : path };
}

/** Where package managers and virtual environments put programs of a project. */
const ofProjects: ReadonlySet<string> = new Set(['node_modules', '.venv', 'venv', '.direnv', '.tox', '.bundle']);

/**
 * Folders of `PATH` whose programs may be run on the host. A project can be a sandbox's workspace, and what was written
 * there must not be run: `npx`, `npm run` and an activated virtual environment all put such a folder first.
 */
export function programFolders(env: Environment): readonly string[] {
  const isFit = (folder: string): boolean =>
    isAbsolute(folder) && normalize(folder) === folder && !folder.split(sep).some((part) => ofProjects.has(part));
  return (env.get('PATH') ?? '').split(':').filter(isFit);
}

/** The same environment, but for what of `PATH` lies in this folder: commands are started in the project they work on. */
export function withoutFolder(env: Environment, folder: string): Environment {
  const path = env.get('PATH');
  const home = env.get('HOME') ?? '/';
  if (path === undefined || isWithin(home, folder)) {
    return env;
  }
  const kept = path.split(':').filter((one) => !isWithin(one, folder));
  return { names: env.names, get: (name) => (name === 'PATH' ? kept.join(':') || undefined : env.get(name)) };
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
