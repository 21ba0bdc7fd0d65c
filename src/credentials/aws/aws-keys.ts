import { CasemateError } from '../../base/errors.ts';
import { parseJson } from '../../base/json.ts';
import type { Material } from '../credential.ts';
import { secret } from '../secret.ts';

/**
 * Reads a pair of AWS keys from one text: the answer of a `credential_process` (JSON with `AccessKeyId`, `SecretAccessKey` and
 * `SessionToken`), or `id:secret` and `id:secret:token`.
 */
const keyId = /^[A-Z0-9]{16,128}$/;

/** Throws `CREDENTIAL_UNAVAILABLE`; nothing of the text is in the error. */
export function awsKeysOf(material: Material): Material {
  if (material.kind === 'aws') {
    return material;
  }
  const text = material.secret.reveal();
  const [accessKeyId, secretAccessKey, sessionToken, ...more] = text.startsWith('{') ? fromJson(text) : text.split(':');
  if (
    accessKeyId === undefined ||
    !keyId.test(accessKeyId) ||
    secretAccessKey === undefined ||
    secretAccessKey === '' ||
    more.length > 0
  ) {
    throw new CasemateError('CREDENTIAL_UNAVAILABLE', 'the value is no pair of AWS keys', {
      hint: 'Write id:secret or id:secret:token, or the JSON that `aws configure export-credentials --format process` prints.',
    });
  }
  const token = sessionToken === undefined || sessionToken === '' ? undefined : secret(sessionToken);
  return { kind: 'aws', accessKeyId, secretAccessKey: secret(secretAccessKey), sessionToken: token };
}

function fromJson(text: string): readonly (string | undefined)[] {
  const parsed: unknown = parseJson(text);
  if (typeof parsed !== 'object' || parsed === null) {
    return [];
  }
  const fields = new Map<string, unknown>(Object.entries(parsed));
  return ['AccessKeyId', 'SecretAccessKey', 'SessionToken'].map((name) => {
    const value = fields.get(name);
    return typeof value === 'string' ? value : undefined;
  });
}
