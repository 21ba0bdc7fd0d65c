import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isOpen, minutesLeft, minutesOf } from '../src/opening-hours.js';

const bakery = ['06:30-12:30', '14:00-18:00'];
const bar = ['20:00-02:00'];

test('a time is read as minutes since midnight', () => {
  assert.equal(minutesOf('00:00'), 0);
  assert.equal(minutesOf('23:59'), 1439);
  assert.throws(() => minutesOf('24:00'), RangeError);
});

test('a shop is open within its hours and closed between them', () => {
  assert.equal(isOpen(bakery, '06:30'), true);
  assert.equal(isOpen(bakery, '12:30'), false);
  assert.equal(isOpen(bakery, '13:00'), false);
});

test('the minutes left are counted to the end of the present hours', () => {
  assert.equal(minutesLeft(bakery, '17:15'), 45);
  assert.equal(minutesLeft(bakery, '19:00'), 0);
});

test('hours may pass midnight', () => {
  assert.equal(isOpen(bar, '19:59'), false);
  assert.equal(isOpen(bar, '23:00'), true);
  assert.equal(isOpen(bar, '01:30'), true);
  assert.equal(minutesLeft(bar, '23:00'), 180);
  assert.equal(minutesLeft(bar, '01:30'), 30);
});
