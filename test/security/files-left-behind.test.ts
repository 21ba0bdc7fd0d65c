/** What a sandbox leaves on the host's disk (G3, MNT-12): files of the workspace's owner, no set-id bit, no device, no trusted attribute. */
import { readdir, lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { SandboxSpec } from '../../src/engines/engine.ts';
import { asked, python } from '../helpers/inside-python.ts';
import { ociLab, ociLacks, uid, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('files a sandbox leaves behind', () => {
  let lab: OciLab;
  let spec: SandboxSpec;

  beforeAll(async () => {
    lab = await ociLab();
    spec = await lab.started();
  });
  afterAll(async () => {
    await lab.remove();
  });

  it('belong to the owner of the workspace, whoever made them inside', async () => {
    await lab.inside(spec.id, [
      'sh',
      '-c',
      'touch a; mkdir d; ln -s /etc/passwd l; mkfifo p; chown 0:0 a; chown 5 a; chgrp 65534 a',
    ]);
    const names = await readdir(spec.workspace.path);
    expect(names.toSorted()).toEqual(['a', 'd', 'l', 'p']);
    for (const name of names) {
      expect((await lstat(join(spec.workspace.path, name))).uid).toBe(uid);
    }
  });

  it('have no set-user-id and no set-group-id bit, by whatever call', async () => {
    const attempts = `
import tarfile, io
open('plain', 'w').close()
answer([attempt(os.chmod, 'plain', 0o4755), attempt(os.chmod, 'plain', 0o2755), attempt(lambda: os.fchmod(os.open('plain', 2), 0o4755)),
  attempt(lambda: os.open('new', os.O_CREAT | os.O_WRONLY, 0o4755)), attempt(lambda: os.open('.', os.O_TMPFILE | os.O_WRONLY, 0o4755)),
  attempt(os.mknod, 'node', 0o104755), attempt(os.chmod, 'plain', 0o755), attempt(lambda: os.open('new2', os.O_CREAT | os.O_WRONLY, 0o755))])`;
    expect(JSON.parse((await python(lab, spec.id, attempts)).out)).toEqual([...Array(6).fill('EPERM'), 'DONE', 'DONE']);
    for (const name of await readdir(spec.workspace.path)) {
      expect((await lstat(join(spec.workspace.path, name))).mode & 0o6000, name).toBe(0);
    }
  });

  it('are no devices, and have no file capability', async () => {
    expect(
      await asked(
        lab,
        spec.id,
        '[attempt(os.mknod, "/workspace/dev", 0o20666, os.makedev(1, 3)), attempt(os.mknod, "/workspace/disk", 0o60666, os.makedev(8, 0)), ' +
          'attempt(lambda: os.setxattr("/workspace/plain", "security.capability", bytes([1, 0, 0, 2]) + bytes(16))), ' +
          'attempt(lambda: os.setxattr("/workspace/plain", "trusted.x", b"x")), attempt(lambda: os.setxattr("/workspace/plain", "user.x", b"x"))]',
      ),
    ).toEqual(['EPERM', 'EPERM', 'EPERM', 'EPERM', 'DONE']);
  });

  it('do not include a file of the image, which stays as it is (KRN-25)', async () => {
    const sums = ['sh', '-c', 'sha256sum /usr/bin/* /usr/lib/*-linux-gnu/libc.so.6 2>/dev/null | sha256sum'];
    const other = await lab.started();
    const before = (await lab.inside(other.id, sums)).out;
    await lab.inside(spec.id, [
      'sh',
      '-c',
      'for f in /usr/bin/env /etc/passwd; do echo x > $f; rm -f $f; chmod 777 $f; done; mount -o remount,rw /',
    ]);
    expect((await lab.inside(other.id, sums)).out).toBe(before);
    expect((await lab.inside(spec.id, sums)).out).toBe(before);
    await lab.engine.remove(other.id);
  });
});
