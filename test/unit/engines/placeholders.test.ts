import { describe, expect, it } from 'vitest';

import { shareOut, type Listed } from '../../../src/engines/workspace/placeholders.ts';
import type { EngineRecord } from '../../../src/engines/records.ts';

const record = (id: string, path: string, parts: Partial<EngineRecord>): EngineRecord =>
  ({ version: 1, spec: { id, workspace: { path } }, protections: [], placeholders: [], ...parts }) as EngineRecord;
const folder = (path: string): Listed => ({ path, placeholder: 'folder' });

describe('the placeholders of a sandbox that goes', () => {
  it('are its own where nobody else protects the same path', () => {
    const placeholders = [folder('.vscode'), folder('.git')];
    const mine = record('cm-1', '/w', { placeholders, protections: ['.vscode', '.git'] });
    const elsewhere = record('cm-2', '/other', { protections: ['.vscode', '.git'] });
    expect(shareOut(mine, [mine, elsewhere])).toEqual({ own: placeholders, handOver: [] });
  });

  it('go over to who protects the same path, by whatever name that one has for it', () => {
    const mine = record('cm-1', '/w', { placeholders: [folder('sub/.vscode'), folder('.git')] });
    const heir = record('cm-2', '/w/sub', { protections: ['.vscode'] });
    expect(shareOut(mine, [heir, mine])).toEqual({
      own: [folder('.git')],
      handOver: [{ to: 'cm-2', placeholders: [folder('.vscode')] }],
    });
  });
});
