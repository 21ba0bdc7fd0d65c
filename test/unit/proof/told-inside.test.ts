import { describe, expect, it } from 'vitest';

import { readTold, tellingProgram } from '../../../src/proof/lab/told-inside.ts';

describe('what a held command says of itself', () => {
  it('is read from behind its nonce, also where a terminal shows what was typed and ends lines with CR', () => {
    const text = [
      "$ 'perl' '-e' 'print \"abc status CapEff=ffff\"' 'abc'\r",
      '\r',
      'abc status CapEff=0000000000000000\r',
      'abc status Uid=1000 1000\r',
      'abc open 0\r',
      'abc open 7\r',
      'abc variable A=b=c\r',
      'other status CapEff=ffff\r',
      'abc end\r',
    ].join('\n');
    expect(readTold(text, 'abc')).toEqual({
      status: { CapEff: '0000000000000000', Uid: '1000 1000' },
      open: ['0', '7'],
      variables: ['A=b=c'],
      typed: undefined,
      complete: true,
    });
  });

  it('is not complete without its end', () => {
    expect(readTold('abc open 0\n', 'abc')).toMatchObject({ complete: false });
  });

  it('can be typed into a shell', () => {
    expect(tellingProgram).not.toMatch(/['\n\t]/);
  });
});
