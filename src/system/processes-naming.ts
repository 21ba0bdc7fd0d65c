import { readdir, readFile } from 'node:fs/promises';

/** Processes of this host one of whose arguments is exactly this word: for words that nobody else would use. */
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
