import { isSecretFile } from '../secret-patterns.ts';

/** Places in a home that hold keys, or programs that the host starts by itself. They are never copied, whoever asks. */

/** With all that is in them; no workspace lies in one either. */
export const privateFolders: readonly string[] = [
  '.ssh',
  '.gnupg',
  '.aws',
  '.azure',
  '.docker',
  '.kube',
  '.password-store',
  '.mozilla',
  '.thunderbird',
  '.local',
  '.cache',
];

/** All of `.config` is more than one program's: what is named there has to be named. */
const wholeFolders = new Set(['.config']);
const privateConfig = new Set(['casemate', 'gcloud', 'gh', 'git', 'op', 'systemd', 'autostart', 'google-chrome', 'chromium']);

/** `path` is plain and relative to the home. */
export function isPrivatePlace(path: string): boolean {
  const [first = '', second = ''] = path.split('/');
  return (
    privateFolders.includes(first) ||
    wholeFolders.has(path) ||
    (first === '.config' && privateConfig.has(second)) ||
    path.split('/').some(isSecretFile)
  );
}
