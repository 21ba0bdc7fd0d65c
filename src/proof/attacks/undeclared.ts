/** Requests that no rule of a host names: another method, another path, or one that a server may read as another. */

export interface Asked {
  readonly method: string;
  readonly target: string;
}

/** Where `POST /v1/messages` and `GET /v1/echo` alone are allowed. */
export const besideMessages: readonly Asked[] = [
  ...['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND', 'post', 'Post', 'GETPOST'].map((method) => ({
    method,
    target: '/v1/messages',
  })),
  ...['POST', 'DELETE'].map((method) => ({ method, target: '/v1/echo' })),
  ...[
    '/v1/files',
    '/v1/messages/',
    '/v1/messages/batches',
    '/V1/messages',
    '/v1/Messages',
    '/v1//messages',
    '//v1/messages',
    '/v1/./messages',
    '/v1/x/../messages',
    '/v1/messages/../files',
    '/v1/messages/..;/files',
    '/v1/messages/%2e%2e/files',
    '/v1/messages/..%2ffiles',
    '/v1/messages%2f..%2ffiles',
    '/v1/messages%252f..%252ffiles',
    '/v1/messages%5c..%5cfiles',
    '/v1/messages\\..\\files',
    '/v1/messages%00',
    '/v1/messages%0a',
    '/v1/messages%3f/../files',
    '/v1/messages%23',
    '/v1/messages.json',
    '/v1/messages;a=b/../files',
    '/v1/messages#/../files',
    '/v1/files/../messages',
    '/%2e%2e/v1/files',
    'v1/messages',
    '*',
  ].map((target) => ({ method: 'POST', target })),
];

/** Where reads of `/repos/**` alone are allowed, as with a token for a forge. */
export const besideReads: readonly Asked[] = [
  { method: 'POST', target: '/gists' },
  { method: 'POST', target: '/user/keys' },
  { method: 'PUT', target: '/repos/o/r/collaborators/x' },
  { method: 'POST', target: '/repos/o/r/hooks' },
  { method: 'POST', target: '/repos/other/x/git/blobs' },
  { method: 'PUT', target: '/repos/o/r/actions/secrets/x' },
  { method: 'POST', target: '/graphql' },
  { method: 'DELETE', target: '/repos/o/r' },
  { method: 'PATCH', target: '/repos/o/r' },
  { method: 'GET', target: '/user/emails' },
  { method: 'GET', target: '/repos' },
  { method: 'GET', target: '/repos/../user/emails' },
  { method: 'GET', target: '/repos/%2e%2e/user/emails' },
  { method: 'GET', target: '/repos/o/..%2f..%2f..%2fuser/emails' },
  { method: 'GET', target: '/repos/o/r/..;/..;/..;/user/emails' },
];

/** Where everything may be read and posted. */
export const besideReadsAndPosts: readonly Asked[] = ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'MKCOL', 'PURGE'].map(
  (method) => ({ method, target: '/any' }),
);

/** Fields by which a server would carry out something else than the request says. */
export const overrides: readonly string[] = [
  'X-HTTP-Method-Override: DELETE',
  'X-HTTP-Method: DELETE',
  'X-Method-Override: DELETE',
  'X-Original-Method: DELETE',
  'X-Original-URL: /v1/files',
  'X-Rewrite-URL: /v1/files',
  'X-HTTP-Path-Override: /v1/files',
  'X-Original-Path: /v1/files',
  'X_HTTP_Method_Override: DELETE',
  'X-Original_URL: /v1/files',
];

export const urlencoded = 'application/x-www-form-urlencoded';
const parts = 'multipart/form-data; boundary=XX';
const part = (name: string, value: string): string => `--XX\r\nContent-Disposition: form-data; ${name}\r\n\r\n${value}\r\n`;

/** Forms, and JSON, that name another method than `POST`; each holds `MARK`. */
export const methodForms: readonly { readonly what: string; readonly type: string; readonly body: string }[] = [
  { what: 'as it is', type: urlencoded, body: '_method=DELETE&a=MARK' },
  { what: 'behind another field', type: urlencoded, body: 'a=MARK&_method=delete' },
  { what: 'behind a semicolon', type: urlencoded, body: 'a=MARK;_HttpMethod=PUT' },
  { what: 'escaped', type: urlencoded, body: '%5f%6dethod=DEL%45TE&a=MARK' },
  {
    what: 'in one of several parts',
    type: parts,
    body: `${part('name="a"', 'MARK')}${part('name="_method"', 'DELETE')}--XX--\r\n`,
  },
  {
    what: 'in a part with a bare name',
    type: parts,
    body: `${part('name=_method', 'DELETE')}${part('name=a', 'MARK')}--XX--\r\n`,
  },
  {
    what: 'of a type that is said to be of the connection alone',
    type: 'text/plain\r\nConnection: Content-Type',
    body: '_method=DELETE&a=MARK',
  },
  { what: 'of another charset', type: `${urlencoded}; charset=ibm037`, body: 'a=MARK' },
  {
    what: 'in words of mail',
    type: parts,
    body: `${part('name="=?utf-8?Q?=5Fmethod?="', 'DELETE')}${part('name=a', 'MARK')}--XX--\r\n`,
  },
  { what: 'as JSON', type: 'application/json', body: '{"a":"MARK","_method":"DELETE"}' },
  { what: 'as JSON in escapes', type: 'application/json', body: '{"\\u005fmethod":"\\u0044ELETE","a":"MARK"}' },
];
