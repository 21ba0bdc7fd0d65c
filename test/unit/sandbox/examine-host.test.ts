import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { CasemateError } from '../../../src/base/errors.ts';
import { memoryEngine } from '../../../src/engines/memory.ts';
import { examineHost } from '../../../src/sandbox/host/examine-host.ts';
import { environmentOf } from '../../../src/system/environment.ts';

/** A slow or broken part of the host is a row of the answer; the other rows are there all the same. */
describe('what is said of a host', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'casemate-examine-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const examined = ({ engine = memoryEngine(), docker = memoryEngine(), patienceMs = 300 } = {}) =>
    examineHost({
      engines: { oci: engine, podman: memoryEngine(), docker },
      engine: 'oci',
      images: { find: async () => undefined, list: async () => [] },
      env: environmentOf({ PATH: folder }),
      runtime: 'runc',
      uid: 0,
      paths: { organisation: join(folder, 'organisation.yaml'), config: folder },
      patienceMs,
    });

  it('names a program that does not answer, and goes on', async () => {
    await writeFile(join(folder, 'mmdebstrap'), '#!/usr/bin/perl\nsleep 60;\n', { mode: 0o755 });
    await symlink('/bin/true', join(folder, 'runc'));
    // A busy machine takes its time to start the other programs, too.
    const rows = await examined({ patienceMs: 3000 });
    expect(rows).toContainEqual({
      check: 'mmdebstrap',
      verdict: 'missing',
      detail: 'mmdebstrap did not end within 3000 ms',
    });
    expect(rows).toContainEqual(expect.objectContaining({ check: 'runc', verdict: 'ok' }));
    expect(rows).toContainEqual(expect.objectContaining({ check: 'nsenter', verdict: 'missing' }));
  });

  it('says of an engine whose runtime is not installed that it is not there', async () => {
    const detail = 'runc is not installed';
    const docker = {
      ...memoryEngine(),
      examine: async () => [{ layer: 'runtime-floor' as const, available: false, detail, missingTool: 'runc' }],
    };
    expect(await examined({ docker })).toContainEqual({ check: 'engine docker', verdict: 'absent', detail });
  });

  it('names an engine that does not answer, and goes on', async () => {
    const silent = {
      ...memoryEngine(),
      examine: async () => {
        throw new CasemateError('ENGINE_FAILED', 'cannot talk to it', { hint: 'Start it.' });
      },
    };
    const rows = await examined({ engine: silent });
    expect(rows).toContainEqual({ check: 'engine oci', verdict: 'missing', detail: 'cannot talk to it; Start it.' });
    expect(rows).toContainEqual(expect.objectContaining({ check: 'images', verdict: 'absent' }));
  });
});
