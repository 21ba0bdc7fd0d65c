/**
 * What a signed request says about itself (AWS Signature Version 4): whose key, which region, which service. The signature
 * itself is not trusted; region and service are compared with the host name, because they decide what the new signature is good
 * for.
 */
export interface SigningScope {
  readonly accessKeyId: string;
  readonly region: string;
  readonly service: string;
}

const form =
  /^AWS4-HMAC-SHA256\s+Credential=([A-Za-z0-9]{16,128})\/(\d{8})\/([a-z0-9-]{1,32})\/([a-z0-9-]{1,64})\/aws4_request\s*,\s*SignedHeaders=[a-z0-9;_.-]{1,4096}\s*,\s*Signature=[0-9a-f]{64}$/;

/** From the value of `Authorization`; `undefined` where it is no signature of this kind. */
export function parseScope(authorization: string): SigningScope | undefined {
  const [, accessKeyId, , region, service] = form.exec(authorization.trim()) ?? [];
  return accessKeyId === undefined || region === undefined || service === undefined
    ? undefined
    : { accessKeyId, region, service };
}

const credentialForm = /^([A-Za-z0-9]{16,128})\/(\d{8})\/([a-z0-9-]{1,32})\/([a-z0-9-]{1,64})\/aws4_request$/;

/** The same from what stands in an address as `X-Amz-Credential`, in clear text. */
export function scopeIn(text: string): SigningScope | undefined {
  const [, accessKeyId, , region, service] = credentialForm.exec(text) ?? [];
  return accessKeyId === undefined || region === undefined || service === undefined
    ? undefined
    : { accessKeyId, region, service };
}

const domains = ['amazonaws.com', 'amazonaws.com.cn', 'api.aws', 'on.aws'] as const;
const regionPattern = /^[a-z]{2}(?:-[a-z]+){1,3}-\d{1,2}$/;

/** Services whose signing name is in no label of their hosts. */
const hostLabels: Readonly<Record<string, readonly string[]>> = {
  ses: ['email'],
  sqs: ['queue'],
  'aws-marketplace': ['marketplace'],
  iotdata: ['iot'],
  iotdevicegateway: ['iot'],
  elasticloadbalancing: ['elasticloadbalancing'],
  'execute-api': ['execute-api'],
  lambda: ['lambda', 'lambda-url'],
};

/** Why the scope does not fit the host, as one sentence; `undefined`: it does. */
export function scopeFault({ region, service }: SigningScope, host: string): string | undefined {
  const domain = domains.find((name) => host.endsWith(`.${name}`));
  if (domain === undefined) {
    return `${host} is no host of AWS, so nothing is signed for it`;
  }
  const labels = host.slice(0, -domain.length - 1).split('.');
  const named = labels.filter((label) => regionPattern.test(label)).at(-1) ?? legacyRegion(labels);
  if (named !== undefined && named !== region) {
    return `the request is signed for the region ${region}, and ${host} is in ${named}`;
  }
  const wanted = hostLabels[service] ?? [service];
  return labels.some((label) => wanted.some((name) => label === name || label.startsWith(`${name}-`)))
    ? undefined
    : `the request is signed for the service ${service}, and ${host} is of another one`;
}

/** `s3-us-west-2.amazonaws.com` */
function legacyRegion(labels: readonly string[]): string | undefined {
  const rest = labels.at(-1)?.replace(/^s3-/, '');
  return rest !== undefined && rest !== labels.at(-1) && regionPattern.test(rest) ? rest : undefined;
}

/** The region in the name of an AWS host, such as `bedrock-runtime.eu-west-1.amazonaws.com`. */
export function regionOfHost(host: string): string | undefined {
  return domains.some((name) => host.endsWith(`.${name}`))
    ? host
        .split('.')
        .filter((label) => regionPattern.test(label))
        .at(-1)
    : undefined;
}
