import { expect, test } from 'vitest';

import { ownEngine } from '../../../src/cli/session/open-lab.ts';
import { engineVariables } from '../../../src/engines/engine-choice.ts';
import { environmentOf } from '../../../src/system/environment.ts';

test('a lab finds the engine that is proved, by all that names one, and nothing else of the caller', () => {
  const named = Object.fromEntries([...engineVariables, 'SSH_AUTH_SOCK'].map((name) => [name, `its ${name}`]));
  expect(ownEngine(environmentOf({ ...named, HOME: '/home/me', OTHER: 'x' }))).toEqual(named);
  expect(ownEngine(environmentOf({ HOME: '/home/me' }))).toEqual({ DOCKER_CONFIG: '/home/me/.docker' });
});
