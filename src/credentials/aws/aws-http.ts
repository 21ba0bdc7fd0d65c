import { unavailable } from '../sources/checked-value.ts';
import type { AwsAccess, AwsFields } from './aws-reading.ts';

/** The few requests by which AWS keys are had. Nothing of an answer is in an error: it may hold what was asked for. */
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

/** The text of a 200. Throws `CREDENTIAL_UNAVAILABLE`. No redirect is followed: it would carry keys elsewhere. */
export async function askAws(
  { url, method = 'GET', headers = {}, body, timeoutMs = 10_000, what }: AwsRequest,
  { request = fetch }: AwsAccess,
): Promise<string> {
  let answer: Response;
  let text: string;
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    answer = await request(url, { method, headers, redirect: 'error', signal, ...(body === undefined ? {} : { body }) });
    text = await answer.text();
  } catch {
    throw unavailable(`${what} did not answer`);
  }
  if (!answer.ok || text.length > maxBytes) {
    throw unavailable(`${what} answered with status ${answer.status}`, 'Run the AWS command line tool to see why.');
  }
  return text;
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

export function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
