/** Python inside a sandbox, with the questions of `probe.py`: the program's last line is its answer in JSON. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Inside } from './engine-lab.ts';
import type { OciLab } from './oci-lab.ts';

const probe = readFileSync(join(import.meta.dirname, 'probe.py'), 'utf8');

export async function python(
  lab: OciLab,
  id: string,
  program: string,
  options: { readonly timeoutMs?: number } = {},
): Promise<Inside> {
  return lab.inside(id, ['python3', '-'], { input: `${probe}\n${program}\n`, cwd: '/workspace', ...options });
}

/** Throws with what Python said when there is no answer. */
export async function asked(lab: OciLab, id: string, expression: string): Promise<unknown> {
  const { out, err, code } = await python(lab, id, `answer(${expression})`);
  const line = out.trim().split('\n').at(-1) ?? '';
  if (code !== 0 || line === '') {
    throw new Error(`python ended with ${code}: ${err}`);
  }
  return JSON.parse(line);
}
