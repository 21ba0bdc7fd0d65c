import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { isCasemateError } from '../../../src/base/errors.ts';
import { checkParams, readMessage } from '../../../src/daemon/check-params.ts';
import { guaranteeIds } from '../../../src/proof/guarantees.ts';
import { probes } from '../../../src/proof/probes.ts';

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'none';
  } catch (error) {
    return isCasemateError(error) ? error.code : String(error);
  }
}

describe('what comes over the control socket', () => {
  it.each<[string, unknown]>([
    ['start', {}],
    ['start', undefined],
    ['start', { name: 7 }],
    ['start', { name: 'x', more: 1 }],
    ['create', { cwd: 'relative' }],
    ['exec', { name: 'x', command: [], env: {}, tty: false }],
    ['exec', { name: 'x', command: ['a\0b'], env: {}, tty: false }],
    ['exec', { name: 'x', command: ['a'], env: { 'A=B': '' }, tty: false }],
    ['exec', { name: 'x', command: ['a'], env: {}, tty: false, client: { pid: -1, startTicks: '1' } }],
    ['close', { executionId: '../../x', exitCode: 0 }],
    ['close', { executionId: 'ex-0123456789abcdef', exitCode: 0.5 }],
    ['request-approve', { id: 'ask-0', scope: 'once' }],
    ['request-approve', { id: 'ask-abcdefgh2345', scope: 'for ever' }],
    ['request-approve', { id: 'ask-abcdefgh2345', scope: 'policy', file: 'relative.yaml' }],
    ['request-approve', { id: 'ask-abcdefgh2345', scope: 'sandbox', functions: [] }],
    ['request-deny', { id: 'ask-abcdefgh2345' }],
    ['shutdown', { force: 'yes' }],
    ['no-such-call', {}],
    ['__proto__', {}],
    ['toString', {}],
  ])('is refused: %s %j', (method, params) => {
    expect(codeOf(() => checkParams(method, params))).toBe('USAGE');
  });

  it('is told apart by call and field', () => {
    expect(() => checkParams('start', {})).toThrow('the call "start" is not well formed: params.name');
  });

  it('is taken as it is where it is well formed', () => {
    const params = { name: 'x', command: ['sh', '-c', '\n'], env: { A: '' }, tty: true, client: { pid: 1, startTicks: '2' } };
    expect(checkParams('exec', params)).toEqual({ method: 'exec', params });
    expect(checkParams('ls', {})).toEqual({ method: 'ls', params: {} });
  });

  it('may name every probe and every guarantee of a proof', () => {
    const only = [...Object.keys(probes), ...guaranteeIds];
    const outcome = { profile: 'full', only, verdicts: { G1: 'held' }, probes: 1, observations: 1, findings: '0'.repeat(64) };
    expect(codeOf(() => checkParams('prove-seal', { name: 'x', outcome }))).toBe('none');
  });

  it('is a message or nothing, and parameters or a USAGE error, whatever it is', () => {
    fc.assert(
      fc.property(fc.anything(), fc.string(), (value, method) => {
        expect(() => readMessage(value)).not.toThrow();
        expect(['USAGE', 'none']).toContain(codeOf(() => checkParams(method, value)));
        expect(['USAGE', 'none']).toContain(codeOf(() => checkParams('run', value)));
      }),
    );
    expect(
      [null, 1, 'x', [], {}, { type: 'call' }, { type: 'call', id: 'x', method: 'ls' }, { type: 'answer' }].map(readMessage),
    ).toEqual(Array.from({ length: 8 }));
  });
});
