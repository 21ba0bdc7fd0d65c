import fc from 'fast-check';
import { expect, test } from 'vitest';

import { filterHtml } from '../../../src/gateway/guards/pypi-html.ts';
import { filterProject, filterSimple, uploadsIn } from '../../../src/gateway/guards/pypi-metadata.ts';
import { elementRanges, valueIn } from '../../../src/gateway/http/json-ranges.ts';
import { inTurns } from '../../../src/gateway/in-turns.ts';

const day = 86_400_000;
const nowMs = Date.parse('2026-01-31T00:00:00Z');
const context = {
  rules: [{ minAgeMs: 3 * day, allow: [], block: [], origin: { layer: 'user', source: 'test' } }],
  locked: new Set<string>(),
  nowMs,
} as const;

const versionsOf = (count: number): readonly string[] => Array.from({ length: count }, (_, nth) => `1.0.${count - nth}`);
const uploadedAt = (nth: number): string => new Date(nowMs - nth * day).toISOString();
const wheel = (version: string): string => `big-${version}-py3-none-any.whl`;

/** A project with a file a day, the newest first. */
function simpleOf(count: number): Buffer {
  const files = versionsOf(count).map((version, nth) => ({
    filename: wheel(version),
    url: `https://files.example/${wheel(version)}`,
    hashes: { sha256: 'a'.repeat(64) },
    'upload-time': uploadedAt(nth),
  }));
  return Buffer.from(JSON.stringify({ meta: { 'api-version': '1.1' }, name: 'big', versions: versionsOf(count), files }));
}

function projectOf(count: number): Buffer {
  const releases = Object.fromEntries(
    versionsOf(count).map((version, nth) => [version, [{ filename: wheel(version), upload_time_iso_8601: uploadedAt(nth) }]]),
  );
  const [newest = ''] = versionsOf(count);
  return Buffer.from(JSON.stringify({ info: { name: 'big', version: newest }, releases, urls: releases[newest] }));
}

const parsed = (body: Buffer | undefined): unknown => JSON.parse(body?.toString('utf8') ?? '');

test('files that are too young are left out of the index, and their versions with them', async () => {
  const found = await inTurns(filterSimple(simpleOf(5), { context, asHtml: false }));
  expect([...(found?.withheld.keys() ?? [])]).toEqual(['1.0.5', '1.0.4', '1.0.3'].map(wheel));
  expect(parsed(found?.body)).toMatchObject({
    meta: { 'api-version': '1.1' },
    name: 'big',
    versions: ['1.0.2', '1.0.1'],
    files: ['1.0.2', '1.0.1'].map((version) => ({ filename: wheel(version) })),
  });
});

test('who reads only the other form is given that', async () => {
  const found = await inTurns(filterSimple(simpleOf(4), { context, asHtml: true }));
  expect(found?.body.toString('utf8').match(/<a /g)).toHaveLength(1);
  expect(found?.body.toString('utf8')).toContain(`href="https://files.example/${wheel('1.0.1')}#sha256=`);
});

test('the description of a project moves to the newest release that is offered', async () => {
  const found = await inTurns(filterProject(projectOf(12), context));
  expect(found?.offered).toHaveLength(9);
  expect(parsed(found?.body)).toMatchObject({ info: { version: '1.0.9' }, urls: [{ filename: wheel('1.0.9') }] });
  expect(Object.keys((parsed(found?.body) as { releases: object }).releases)).not.toContain('1.0.10');
});

test('where a member stands twice the last counts, and only that is handed on', async () => {
  const twice = Buffer.from(
    `{"name":"big","files":[{"filename":"${wheel('9')}","upload-time":"${uploadedAt(0)}"}],"files":[{"filename":"${wheel('8')}","upload-time":"${uploadedAt(9)}"}]}`,
  );
  const found = await inTurns(filterSimple(twice, { context, asHtml: false }));
  expect(found?.offered).toEqual([wheel('8')]);
  expect(found?.body.toString('utf8')).not.toContain(wheel('9'));
});

test.each([
  ['closed', (anchor: string) => `${anchor}</a><br/>`],
  ['closed in capitals and with space', (anchor: string) => `${anchor}</A  >`],
  ['never closed', (anchor: string) => anchor],
])('of an index in HTML the anchors go that are withheld: %s', async (_name, written) => {
  const uploads = await inTurns(uploadsIn(projectOf(5)));
  const anchors = versionsOf(5).map((version) => written(`<a href="../${wheel(version)}#sha256=0">${wheel(version)}`));
  const document = Buffer.from(`<html><body>${anchors.join('\n')}\n</body></html>`);
  const found = await inTurns(filterHtml(document, { project: 'big', uploads, context }));
  expect(found.offered).toEqual(['1.0.2', '1.0.1'].map(wheel));
  const left = found.body.toString('utf8');
  expect(left.match(/big-[\d.]+-py3/g)).toHaveLength(4);
  expect(left).toMatch(/^<html><body>/);
});

test('of an anchor that bears several addresses the one counts that installers read', async () => {
  const uploads = await inTurns(uploadsIn(projectOf(5)));
  const document = Buffer.from(
    `<a data-href="${wheel('1.0.1')}" href="${wheel('1.0.5')}">a</a><a <a href="${wheel('1.0.5')}">b</a>`,
  );
  const found = await inTurns(filterHtml(document, { project: 'big', uploads, context }));
  expect([...found.withheld.keys(), ...found.offered]).toEqual([wheel('1.0.5')]);
});

test.each([
  '<a'.repeat(100_000),
  '<a>'.repeat(100_000),
  `<a>${'</a '.repeat(100_000)}`,
  `${'<a '.repeat(300_000)}>`,
  `<a ${'href '.repeat(300_000)}>`,
])('an index that is made to be slow is read in one pass', async (text) => {
  let pieces = 0;
  const work = filterHtml(Buffer.from(text), { project: 'big', uploads: new Map(), context });
  while (work.next().done !== true) {
    pieces += 1;
  }
  expect(pieces).toBeLessThanOrEqual(100_000);
});

test.each([
  ['the index', () => filterSimple(simpleOf(2000), { context, asHtml: false })],
  ['the project', () => filterProject(projectOf(2000), context)],
  ['the times', () => uploadsIn(projectOf(2000))],
])('a large document is read in pieces: %s', async (_name, work) => {
  let pieces = 0;
  let ticks = 0;
  const nextTurn = (goOn: () => void): void => {
    pieces += 1;
    goOn();
  };
  // A clock that moves on with each look: every place where the work may be interrupted is one.
  await inTurns<unknown>(work(), { nowMs: () => (ticks += 8), pieceMs: 8, nextTurn });
  expect(pieces).toBeGreaterThan(2000);
});

test('elements are found where JSON.parse finds them', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue()), fc.boolean(), async (array, isSpaced) => {
      const data = Buffer.from(JSON.stringify(array, undefined, isSpaced ? 2 : 0));
      const elements = (await inTurns(elementRanges(data))) ?? [];
      expect(elements.map((element) => valueIn(data, element))).toEqual(JSON.parse(data.toString('utf8')));
    }),
  );
});

test('what is no whole array has no elements', async () => {
  for (const text of ['', '[', '[1', '[1,', '[1,]', '[,1]', '{"a":1}', '["a']) {
    expect(await inTurns(elementRanges(Buffer.from(text)))).toBeUndefined();
  }
});
