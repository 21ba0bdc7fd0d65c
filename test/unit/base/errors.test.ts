import { describe, expect, it } from 'vitest';

import { CasemateError, toCasemateError } from '../../../src/base/errors.ts';

const systemError = (code: string, more: object = {}): Error =>
  Object.assign(new Error(`${code}: said by the system, write`), { code, ...more });

describe('an error that nobody foresaw', () => {
  it('is a defect, with what it said', () => {
    expect(toCasemateError(new Error('odd'))).toMatchObject({ code: 'INTERNAL', message: 'odd' });
    expect(toCasemateError('odd')).toMatchObject({ code: 'INTERNAL', message: 'odd' });
    expect(toCasemateError(systemError('EIO'))).toMatchObject({ code: 'INTERNAL' });
  });

  it('stays what it is where it has a code already', () => {
    const known = new CasemateError('USAGE', 'wrong');
    expect(toCasemateError(known)).toBe(known);
  });

  it.each(['ENOSPC', 'EDQUOT'])('is a full disk, and no defect: %s', (code) => {
    expect(toCasemateError(systemError(code))).toMatchObject({
      code: 'DISK_FULL',
      message: 'the disk or its quota is full',
      hint: expect.stringContaining('Free space'),
    });
    expect(toCasemateError(systemError(code, { path: '/var/lib/one' })).message).toContain('no room for /var/lib/one');
  });

  it.each([
    ['EROFS', 'open', 'cannot write /home/me/.local: its file system is read-only'],
    ['EROFS', 'mkdir', 'cannot write /home/me/.local: its file system is read-only'],
    ['EACCES', 'mkdir', 'cannot write /home/me/.local: permission denied'],
    ['EPERM', 'rename', 'cannot write /home/me/.local: permission denied'],
    ['EACCES', 'open', 'cannot open /home/me/.local: permission denied'],
    ['EACCES', 'scandir', 'cannot open /home/me/.local: permission denied'],
  ])('is a place that may not be used, and no defect: %s of %s', (code, syscall, message) => {
    expect(toCasemateError(systemError(code, { syscall, path: '/home/me/.local' }))).toMatchObject({
      code: 'STORE_FAILED',
      message,
      hint: expect.stringContaining('CASEMATE_HOME'),
    });
  });

  it('is a defect where something else was not permitted', () => {
    for (const syscall of ['spawn x', 'connect', 'kill']) {
      expect(toCasemateError(systemError('EACCES', { syscall, path: '/x' }))).toMatchObject({ code: 'INTERNAL' });
    }
  });
});
