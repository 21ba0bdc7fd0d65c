import { readFile } from 'node:fs/promises';

import { unavailable } from '../sources/checked-value.ts';
import { awsReading, type AwsAccess, type AwsReading } from './aws-reading.ts';
import { askAws, fieldsFromJson } from './aws-http.ts';

/**
 * Keys that a container service or the machine itself hands out. They are requested on the host, never on behalf of a sandbox.
 */

const container = 'the credentials endpoint of the container';
const instance = 'the metadata service of the instance';
const metadata = 'http://169.254.169.254/latest';
/** The service is in the machine or it is not there. */
const nearMs = 1000;

/** `undefined` where no variable names an endpoint. Throws `CREDENTIAL_UNAVAILABLE`. */
export async function fromContainer(access: AwsAccess): Promise<AwsReading | undefined> {
  const url = containerUrl(access);
  if (url === undefined) {
    return undefined;
  }
  const tokenFile = access.env.get('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE');
  const token =
    tokenFile === undefined
      ? access.env.get('AWS_CONTAINER_AUTHORIZATION_TOKEN')
      : await readFile(tokenFile, 'utf8').catch(() => undefined);
  const headers: Record<string, string> = token === undefined ? {} : { authorization: token.trim() };
  const text = await askAws({ url, headers, timeoutMs: 2 * nearMs, what: container }, access);
  return awsReading(fieldsFromJson(text, container));
}

/** Plain HTTP is for addresses of the machine itself alone, as the AWS tools have it. */
function containerUrl({ env }: AwsAccess): string | undefined {
  const relative = env.get('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI');
  if (relative !== undefined) {
    return new URL(relative, 'http://169.254.170.2').href.replace(/^https?:\/\/[^/]*/, 'http://169.254.170.2');
  }
  const full = env.get('AWS_CONTAINER_CREDENTIALS_FULL_URI');
  if (full === undefined) {
    return undefined;
  }
  const url = URL.canParse(full) ? new URL(full) : undefined;
  const isNear = /^(?:127(?:\.\d{1,3}){3}|localhost|\[::1\]|169\.254\.170\.(?:2|23)|\[fd00:ec2::23\])$/.test(url?.hostname ?? '');
  if (url === undefined || (url.protocol !== 'https:' && !(url.protocol === 'http:' && isNear))) {
    throw unavailable('AWS_CONTAINER_CREDENTIALS_FULL_URI names neither HTTPS nor an address of this machine');
  }
  return url.href;
}

/** Version 2 of the service alone: what it answers to a plain GET could be had through a forwarding mistake. */
export async function fromInstance(access: AwsAccess): Promise<AwsReading | undefined> {
  if (access.env.get('AWS_EC2_METADATA_DISABLED')?.toLowerCase() === 'true') {
    return undefined;
  }
  const ask = { timeoutMs: nearMs, what: instance };
  const token = await askAws(
    { ...ask, url: `${metadata}/api/token`, method: 'PUT', headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '300' } },
    access,
  );
  const headers = { 'x-aws-ec2-metadata-token': token };
  const path = `${metadata}/meta-data/iam/security-credentials/`;
  const role = (await askAws({ ...ask, url: path, headers }, access)).trim().split('\n', 1)[0] ?? '';
  if (!/^[\w+=,.@-]{1,64}$/.test(role)) {
    throw unavailable(`${instance} names no role`);
  }
  return awsReading(fieldsFromJson(await askAws({ ...ask, url: `${path}${role}`, headers }, access), instance));
}
