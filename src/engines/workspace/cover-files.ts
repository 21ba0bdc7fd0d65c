import { join } from 'node:path';

import { privateFolder, writeDurably } from '../../system/files.ts';
import { ownText } from '../../system/own-files.ts';

/** Names no server: Claude Code calls one without this key a fault in `.mcp.json`. To others it says nothing. */
export const emptyJson = '{"mcpServers":{}}\n';

/** Two small files shown in place of protected files that do not exist. */
export async function coverFiles(folder: string): Promise<{ readonly empty: string; readonly json: string }> {
  const files = { empty: join(folder, 'empty'), json: join(folder, 'empty.json') };
  await privateFolder(folder);
  if (ownText(files.json) !== emptyJson) {
    await writeDurably(files.empty, '', 0o444);
    await writeDurably(files.json, emptyJson, 0o444);
  }
  return files;
}
