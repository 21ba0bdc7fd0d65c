import { expect, test } from 'vitest';

import { leftOut } from '../../../src/engines/docker/left-out.ts';

const forwarding = 'IPv4 forwarding is disabled. Networking will not work.';
const swap = 'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.';
const by = (mode: string, warnings: unknown) => leftOut({ Id: 'a', Warnings: warnings }, { HostConfig: { NetworkMode: mode } });

test('what an engine leaves out is told, whatever it is', () => {
  expect(by('none', [swap])).toEqual([swap]);
  expect(by('none', ['IPv4 forwarding is disabled. And limits, too.'])).toHaveLength(1);
  expect([by('none', null), by('none', []), by('none', undefined)]).toEqual([[], [], []]);
});

test('that it routes no packets is nothing to a container without a network of its own', () => {
  expect(by('none', [forwarding, swap])).toEqual([swap]);
  expect(by(`container:${'a'.repeat(64)}`, [forwarding])).toEqual([]);
  for (const mode of ['bridge', 'host', 'casemate-1', 'none-of-these', '']) {
    expect(by(mode, [forwarding])).toEqual([forwarding]);
  }
});
