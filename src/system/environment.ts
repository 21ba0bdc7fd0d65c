/** The process environment, read in this file only; everything else is handed an `Environment`. */
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

export function baseEnvironment(env: Environment): Record<string, string> {
  const result: Record<string, string> = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
  for (const name of passedOn) {
    const value = env.get(name);
    if (value !== undefined) {
      result[name] = value;
    }
  }
  return result;
}
