/** The folder that sandboxes of the fault suite work in, and the policy they run under. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Some protected names are there, others are not; names and bytes are chosen to be easy to break. */
export async function makeProject(folder: string): Promise<void> {
  const at = (name: string): string => join(folder, name);
  await mkdir(at('.git/hooks'), { recursive: true });
  await mkdir(at('.git/objects'), { recursive: true });
  await mkdir(at('src/deep/er'), { recursive: true });
  await mkdir(at('.vscode'));
  await writeFile(at('.git/HEAD'), 'ref: refs/heads/main\n');
  await writeFile(at('.git/config'), '[core]\n\tbare = false\n');
  await writeFile(at('.git/hooks/pre-commit'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  await writeFile(at('.vscode/settings.json'), '{}\n');
  await writeFile(at('src/deep/er/with space.txt'), 'x'.repeat(5000));
  await writeFile(at('.envrc'), '');
  await symlink('src/deep', at('link'));
}

/** One line for each entry: what a restored folder must give again. */
export function contentsOf(folder: string): readonly string[] {
  const lines: string[] = [];
  const look = (path: string): void => {
    for (const name of readdirSync(path).toSorted()) {
      const full = join(path, name);
      const stats = lstatSync(full);
      const what = stats.isFile()
        ? createHash('sha256').update(readFileSync(full)).digest('hex').slice(0, 16)
        : stats.isSymbolicLink()
          ? readlinkSync(full)
          : stats.isDirectory()
            ? 'folder'
            : 'other';
      lines.push(`${relative(folder, full)} ${(stats.mode & 0o7777).toString(8)} ${stats.uid}:${stats.gid} ${what}`);
      if (stats.isDirectory()) {
        look(full);
      }
    }
  };
  look(folder);
  return lines;
}

export interface PolicyOptions {
  /** of the sink, on loopback */
  readonly port: number;
  readonly runtime: string;
  readonly waive: readonly string[];
}

/** The programs here are watched through others of their names, which have none of the fixes of a package. */
export function policyFor({ port, runtime, waive }: PolicyOptions): string {
  return `version: 1
runtime: ${runtime}
waive: [${waive.join(', ')}]
asks: { wait: 20s, when: always }
network:
  - { host: sink.example.com, upstream: "http://127.0.0.1:${port}", allow: ["GET /n/**"] }
  - { host: sealed.example.com, credential: sealed, upstream: "http://127.0.0.1:${port}", allow: ["GET /n/**"] }
  - { host: login.example.com, credential: subscription, upstream: "http://127.0.0.1:${port}", allow: ["GET /n/**"] }
credentials:
  sealed: { provider: bearer, source: { first: [{ stored: sealed }, { env: FAULT_KEY }] }, variable: SEALED_KEY }
  subscription: { provider: bearer, source: { first: [{ login: claude }, { env: FAULT_KEY }] }, variable: LOGIN_KEY }
`;
}
