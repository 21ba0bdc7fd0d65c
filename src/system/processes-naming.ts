import { readdir, readFile } from 'node:fs/promises';

/** Finds the processes of this host that have exactly this word among their arguments. For words that no one else would use. */
export async function processesNaming(word: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      return words.includes(word) ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}
