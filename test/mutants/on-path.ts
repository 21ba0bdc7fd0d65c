import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** Whether a program is installed where the product looks for its runtimes. */
export function onPath(program: string): boolean {
  return ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'].some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
