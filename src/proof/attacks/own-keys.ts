import { requestText } from '../clients/request-text.ts';

/** Requests with a key of the caller's own, next to the sandbox's phantom or in its place. */
export interface OwnKeyParts {
  readonly host: string;
  readonly target: string;
  readonly phantom: string;
  /** the caller's own */
  readonly key: string;
}

export function ownKeys({ host, target, phantom, key }: OwnKeyParts): Readonly<Record<string, string>> {
  const ask = (lines: readonly string[], more = ''): string =>
    requestText({ host, method: 'POST', target: `${target}${more}`, lines, body: '{}' });
  const basic = (pair: string): string => `Authorization: Basic ${Buffer.from(pair).toString('base64')}`;
  const beside = [`X-Api-Key: ${phantom}`];
  const headers = [
    'X-Api-Key',
    'x-api-key',
    'X_Api_Key',
    'Authorization',
    'Api-Key',
    'X-Auth-Token',
    'X-Goog-Api-Key',
    'Private-Token',
    'X-Access-Token',
    'X-Amz-Security-Token',
    'Proxy-Authorization',
    'Cookie',
  ];
  const inQuery = ['key', 'api_key', 'apikey', 'access_token', 'token', 'auth', 'API_KEY', 'api%5fkey', 'X-Amz-Signature'];
  return {
    ...Object.fromEntries(headers.map((name) => [`in ${name}`, ask([`${name}: ${key}`])])),
    ...Object.fromEntries(headers.map((name) => [`in ${name}, beside the phantom`, ask([...beside, `${name}: ${key}`])])),
    'as a bearer token': ask([`Authorization: Bearer ${key}`]),
    'as a password': ask([basic(`me:${key}`)]),
    'as a password, the phantom as the user': ask([basic(`${phantom}:${key}`)]),
    'behind the phantom, with a comma': ask([`X-Api-Key: ${phantom}, ${key}`]),
    'behind the phantom, with a blank': ask([`Authorization: Bearer ${phantom} ${key}`]),
    'grown together with the phantom': ask([`X-Api-Key: ${phantom}${key}`]),
    ...Object.fromEntries(inQuery.map((name) => [`in the query, as ${name}`, ask(beside, `&${name}=${key}`)])),
    'in the query, behind a semicolon': ask(beside, `&a=1;key=${key}`),
  };
}
