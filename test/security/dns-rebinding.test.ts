import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';

import { innerAddresses } from '../../src/proof/attacks/inner-addresses.ts';
import { createLab, listen, rule } from '../helpers/gateway-lab.ts';
import { rawConnect, talk } from '../helpers/raw-client.ts';
import { sinkAt } from '../helpers/sink.ts';

/** GWP-10: the address that was checked is the address that is dialled, each time anew. */

const request = 'GET / HTTP/1.1\r\nHost: rebind.example.com\r\nConnection: close\r\n\r\n';

/** Not an address at all to who is careful, and one to who is not. Only a resolver that is not DNS says such. */
const shortAddresses = ['0x7f.1', '127.1', '2130706433', '0177.0.0.1', 'fe80::1%lo', 'localhost', ''];
const inner = [...innerAddresses.A, ...innerAddresses.AAAA, ...shortAddresses];

async function labWith(answers: readonly (readonly string[])[]) {
  let turn = 0;
  const dialled: string[] = [];
  const lab = await createLab({
    rules: [rule('rebind.example.com', { ports: [80, 2222] })],
    gateway: {
      resolve: async () => answers[Math.min(turn++, answers.length - 1)] ?? [],
    },
  });
  return { lab, dialled };
}

describe('addresses that are not public', () => {
  test.each(inner)('%s is never dialled', async (address) => {
    const { lab } = await labWith([[address]]);
    const answer = await talk(await rawConnect(await lab.open('rebind.example.com', 80)), [request]);
    expect(answer.text).toMatch(/^HTTP\/1\.1 403 /);
    expect(answer.text).toContain('x-casemate-denied: address-refused');
    const raw = await talk(await rawConnect(await lab.open('rebind.example.com', 2222)), ['hello']);
    expect(raw).toEqual({ text: '', end: 'reset' });
    expect(lab.dials).toEqual([]);
    await lab.close();
  });
});

test('a name that turns from a public address to loopback is served first and refused then', async () => {
  const victim = createServer(() => expect.fail('the private listener was reached'));
  await listen(victim);
  const { lab } = await labWith([
    ['93.184.216.1'],
    ['127.0.0.1'],
    ['93.184.216.1', '127.0.0.1'],
    ['::ffff:127.0.0.1', '10.0.0.1'],
  ]);
  const sink = await sinkAt(lab, 'rebind.example.com', 80, { plain: true });
  lab.dials.length = 0;
  const statuses: string[] = [];
  for (let turn = 0; turn < 4; turn += 1) {
    // The connection of the turn before must not be used again, or nothing would be resolved.
    await new Promise((resolve) => setTimeout(resolve, 20));
    const answer = await talk(await rawConnect(await lab.open('rebind.example.com', 2222)), [request], { quietMs: 200 });
    statuses.push(answer.end);
  }
  expect(lab.dials.filter((target) => !target.startsWith('93.184.216.1:'))).toEqual([]);
  expect(lab.dials.length).toBeGreaterThanOrEqual(2);
  sink.close();
  victim.close();
  await lab.close();
});

test("the host's own public address is refused", async () => {
  const { addressFault } = await import('../../src/gateway/upstream/address-check.ts');
  expect(addressFault('93.184.216.34', new Set(['93.184.216.34']))).toBe('own-host');
  expect(addressFault('93.184.216.34', new Set())).toBeUndefined();
});

test('an override of the policy may name loopback, and only it', async () => {
  const lab = await createLab({ rules: [rule('local.example.com', { ports: [80], upstream: 'http://127.0.0.1:1' })] });
  const sink = await sinkAt(lab, 'unused.example.com', 80, { plain: true });
  const other = await createLab({
    rules: [rule('local.example.com', { ports: [80], upstream: `http://127.0.0.1:${sink.port}` })],
  });
  const answer = await talk(await rawConnect(await other.open('local.example.com', 80)), [
    'GET /o HTTP/1.1\r\nHost: local.example.com\r\nConnection: close\r\n\r\n',
  ]);
  expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
  expect(sink.seen[0]?.headers.host).toBe('local.example.com');
  await Promise.all([lab.close(), other.close()]);
  sink.close();
});
