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
});
