import { asObject, parseJson, type JsonFields } from '../../base/json.ts';
import { unavailable } from '../sources/checked-value.ts';
import type { HostReply } from '../host-request.ts';
import type { AwsAccess, AwsFields } from './aws-reading.ts';

/** The few requests that obtain AWS keys. An error never quotes an answer, which may hold the keys. */
export interface AwsRequest {
  readonly url: string;
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly timeoutMs?: number;
  /** what is asked, for errors */
  readonly what: string;
}

const maxBytes = 256 * 1024;
const patienceMs = 10_000;

/** The text of a 200. Throws `CREDENTIAL_UNAVAILABLE`. No redirect is followed: it would carry keys elsewhere. */
export async function askAws(asked: AwsRequest, access: AwsAccess): Promise<string> {
  const { what } = asked;
  const { status, body } = await (isNear(asked.url) ? askNear(asked, access) : askFar(asked, access)).catch(() => {
    throw unavailable(`${what} did not answer`);
  });
  if (status < 200 || status >= 300 || body.length > maxBytes) {
    throw unavailable(`${what} answered with status ${status}`, 'Run the AWS command line tool to see why.');
  }
  return body;
}

/** Loopback, and the link-local addresses where a machine or a container service hands out keys: never through a proxy. */
function isNear(url: string): boolean {
  return /^(?:127(?:\.\d{1,3}){3}|localhost|\[::1\]|169\.254\.\d{1,3}\.\d{1,3}|\[fd00:ec2::[\da-f]{1,4}\])$/.test(
    new URL(url).hostname,
  );
}

async function askNear(asked: AwsRequest, { request = fetch }: AwsAccess): Promise<HostReply> {
  const { url, method = 'GET', headers = {}, body, timeoutMs = patienceMs } = asked;
  const signal = AbortSignal.timeout(timeoutMs);
  const answer = await request(url, { method, headers, redirect: 'error', signal, ...(body === undefined ? {} : { body }) });
  return { status: answer.status, body: await answer.text() };
}

/** By the host's own proxy and trust, as every other way out; there is no other way in its place. */
async function askFar(asked: AwsRequest, { send }: AwsAccess): Promise<HostReply> {
  const { url, method = 'GET', headers = {}, body, timeoutMs = patienceMs } = asked;
  if (send === undefined) {
    throw new Error('no way out was given');
  }
  return await send({ url, method, fields: Object.entries(headers), body, timeoutMs });
}

/** Member names as most of these services write them; those of the sign-on service begin in lower case. */
export function fieldsFromJson(text: string, what: string): AwsFields {
  const values = new Map<string, unknown>(Object.entries(parsed(text)).map(([name, value]) => [name.toLowerCase(), value]));
  const read = (name: string): string | undefined => {
    const value = values.get(name);
    return typeof value === 'string' ? value : typeof value === 'number' ? new Date(value).toISOString() : undefined;
  };
  const accessKeyId = read('accesskeyid');
  const secretAccessKey = read('secretaccesskey');
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw unavailable(`${what} gave no keys`);
  }
  return { accessKeyId, secretAccessKey, sessionToken: read('sessiontoken') ?? read('token'), expires: read('expiration') };
}

/** Answers of the token service: XML without attributes or entities in the members that count. */
export function fieldsFromXml(text: string, what: string): AwsFields {
  const read = (name: string): string | undefined => new RegExp(`<${name}>([^<]{1,8192})</${name}>`).exec(text)?.[1]?.trim();
  const accessKeyId = read('AccessKeyId');
  const secretAccessKey = read('SecretAccessKey');
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw unavailable(`${what} gave no keys`);
  }
  return { accessKeyId, secretAccessKey, sessionToken: read('SessionToken'), expires: read('Expiration') };
}

/** Without fields where the text is no object. */
export function parsed(text: string): JsonFields {
  return asObject(parseJson(text));
}
