import { expect, test } from 'vitest';

import { parseHost } from '../../../src/base/host.ts';
import { requestText } from '../../../src/cli/printing/request-text.ts';
import type { RequestView } from '../../../src/sandbox/requests/approvals.ts';

const view: RequestView = {
  id: 'ask-abcdefgh2345',
  sandbox: 'cm-1',
  name: 'work',
  policyHash: 'x',
  credential: undefined,
  state: 'waiting',
  sinceMs: 0,
  untilMs: 30_000,
  held: 1,
  count: 1,
  host: parseHost('api.example.com'),
  port: 8443,
  scheme: 'https',
  method: 'POST',
  path: '/x',
  target: '/x?q=1',
  reason: 'host-not-allowed',
  contentBytes: 3,
  contentType: 'text/plain',
  program: 'curl/8',
  rule: 'api.example.com:8443 would be allowed POST /x, without a credential',
  risks: ['POST can change things there, and carries data out'],
};

test('a request is shown in full: who, what, where, why, with what risk, and the rule', () => {
  expect(requestText(view, 0)).toBe(
    [
      'ask-abcdefgh2345  waits 30 s  sandbox work',
      '  asks     POST https://api.example.com:8443/x?q=1',
      '  because  no rule names this host',
      '  program  curl/8 (as it calls itself)',
      '  careful  POST can change things there, and carries data out',
      '  rule     api.example.com:8443 would be allowed POST /x, without a credential',
      '',
    ].join('\n'),
  );
});

test('what a sandbox chose can neither drive the terminal nor draw a line of its own', () => {
  const evil = '\u001b[2K\nask-zzzzzzzzzzzz  waits 9 s\r\u202e\u200b';
  const text = requestText({ ...view, target: evil, program: evil, method: evil, risks: [evil] }, 0);
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e\u200b]/);
  expect(text.split('\n').filter((line) => line.startsWith('ask-'))).toHaveLength(1);
});

test('one whose caller has gone, and one that was denied, say so', () => {
  expect(requestText({ ...view, held: 0 }, 0)).toContain('its caller has gone');
  expect(requestText({ ...view, state: 'denied', untilMs: undefined, count: 3 }, 0)).toContain('denied, asked 3 times');
});
