import { expect, test } from 'vitest';

import { projectGrants } from '../../../src/policy/layers/project-grants.ts';
import { resolveTexts, thrownBy } from './samples.ts';

test('nothing of Docker is offered unless somebody writes it', () => {
  expect(resolveTexts({ user: '' }).docker).toBeUndefined();
  expect(resolveTexts({ user: 'docker: {run: false, images: ["a:1"]}' }).docker).toBeUndefined();
});

test('what is written is offered, with whole names of images', () => {
  const { docker } = resolveTexts({ user: 'docker: {run: true, images: [postgres:16, alpine]}' });
  expect(docker).toEqual({ run: true, build: false, images: ['alpine:latest', 'postgres:16'] });
});

test.each([
  ['docker: {run: false}', 'docker: {run: true}', 'docker.run true is more than the false'],
  ['docker: {run: true, build: false}', 'docker: {build: true}', 'docker.build true is more than the false'],
  ['docker: {run: true, images: ["a:1"]}', 'docker: {images: ["a:1", "b:1"]}', 'the image b:1 is more than'],
  ['docker: {run: true, images: []}', 'docker: {images: ["b:1"]}', 'the image b:1 is more than'],
])('after %j a layer below cannot say %j', (above, below, what) => {
  expect(thrownBy(() => resolveTexts({ organisation: above, user: below }))).toContain(what);
  expect(thrownBy(() => resolveTexts({ user: above, project: below }))).toContain(what);
});

test('a layer below may take away', () => {
  const organisation = 'docker: {run: true, build: true, images: ["a:1", "b:1"]}';
  expect(resolveTexts({ organisation, user: 'docker: {build: false, images: ["a:1"]}' }).docker).toEqual({
    run: true,
    build: false,
    images: ['a:1'],
  });
  expect(resolveTexts({ organisation, project: 'docker: {run: false, build: false}' }).docker).toBeUndefined();
});

test('building needs running', () => {
  expect(thrownBy(() => resolveTexts({ user: 'docker: {build: true}' }))).toContain('docker.build needs docker.run');
});

test('what a project asks for is put before a person', () => {
  expect(projectGrants(resolveTexts({ project: 'docker: {run: true, build: true, images: ["a:1"]}' }))).toEqual([
    'runs containers of its own within the sandbox',
    'builds images within the sandbox',
    "uses the image a:1 of the host's engine",
  ]);
  expect(projectGrants(resolveTexts({ user: 'docker: {run: true}' }))).toEqual([]);
});

test.each(['../etc', 'A:1', 'a:', 'a b', '-a', 'a@sha256:0'])('%j is no image', (image) => {
  expect(thrownBy(() => resolveTexts({ user: `docker: {run: true, images: ["${image}"]}` }))).toContain(
    'is not the name of an image',
  );
});
