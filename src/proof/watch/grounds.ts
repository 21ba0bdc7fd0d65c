import { randomBytes } from 'node:crypto';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { TemplateFolders } from '../foreign/command-template.ts';
import { proofFolder } from '../lab/leftovers.ts';
import type { Identity } from '../foreign/run-foreign.ts';
import { presentFiles, presentFolders } from './planted-names.ts';

/**
 * A home with a project in it, like those that agents work in, made for one proof: every credential, key and note is a canary, a
 * random text that exists nowhere else.
 */
export interface Grounds {
  /** all of it lies below; private to its owner */
  readonly root: string;
  readonly folders: TemplateFolders;
  readonly nonce: string;
  /** canary by path */
  readonly files: Readonly<Record<string, string>>;
  /** canary by name below the home */
  readonly credentials: Readonly<Record<string, string>>;
}

/** Files of credentials by their name below a home, in the form their programs write. */
const credentialFiles: Readonly<Record<string, (value: string) => string>> = {
  '.claude/.credentials.json': (value) => `{"claudeAiOauth":{"accessToken":"${value}"}}\n`,
  '.claude.json': (value) => `{"primaryApiKey":"${value}"}\n`,
  '.codex/auth.json': (value) => `{"OPENAI_API_KEY":"${value}"}\n`,
  '.ssh/id_ed25519': (value) => `-----BEGIN OPENSSH PRIVATE KEY-----\n${value}\n-----END OPENSSH PRIVATE KEY-----\n`,
  '.aws/credentials': (value) => `[default]\naws_secret_access_key = ${value}\n`,
  '.git-credentials': (value) => `https://user:${value}@example.test\n`,
  '.netrc': (value) => `machine example.test login user password ${value}\n`,
  '.npmrc': (value) => `//registry.example.test/:_authToken=${value}\n`,
  '.config/gh/hosts.yml': (value) => `github.com:\n    oauth_token: ${value}\n`,
};
const noteName = 'notes-beside-the-project.txt';

/** `folder`: where to make it, default the one for temporary files; `as`: who owns it, default the caller. */
export async function layGrounds(folder: string | undefined, as?: Identity): Promise<Grounds> {
  const nonce = randomBytes(12).toString('hex');
  const root = await proofFolder(folder);
  const home = join(root, 'home');
  const work = join(home, 'project');
  const own = async (path: string): Promise<void> => (as === undefined ? undefined : await chown(path, as.uid, as.gid));
  const place = async (path: string, text: string): Promise<void> => {
    await makeFolders(root, dirname(path), own);
    await writeFile(path, text, { mode: 0o600 });
    await own(path);
  };
  const credentials = Object.fromEntries(Object.keys(credentialFiles).map((name) => [name, canary()]));
  const note = canary();
  await own(root);
  for (const path of presentFolders) {
    // oxlint-disable-next-line no-await-in-loop -- a folder before what lies in it
    await makeFolders(root, join(work, path), own);
  }
  const written = { ...presentFiles, [`.casemate-proof-${nonce}`]: 'The probes leave things in this folder.\n' };
  await Promise.all([
    ...Object.entries(written).map(([name, text]) => place(join(work, name), text)),
    ...Object.entries(credentials).map(([name, value]) => place(join(home, name), credentialFiles[name]?.(value) ?? '')),
    place(join(home, noteName), `${note}\n`),
  ]);
  const files = Object.fromEntries([
    [join(home, noteName), note],
    ...Object.entries(credentials).map(([name, value]) => [join(home, name), value]),
  ]);
  return { root, folders: { work, home }, nonce, files, credentials };
}

/** As the questions look for it. */
export function canary(): string {
  return `casemate-canary-${randomBytes(16).toString('hex')}`;
}

async function makeFolders(root: string, path: string, own: (path: string) => Promise<void>): Promise<void> {
  if (path !== root) {
    await makeFolders(root, dirname(path), own);
    const made = await mkdir(path, { recursive: true, mode: 0o700 });
    await (made === undefined ? undefined : own(path));
  }
}
