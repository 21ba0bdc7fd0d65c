import type { Material } from './credential.ts';
import type { SourceAccess } from './sources.ts';

/** AWS credentials as the AWS tools would find them. */

export interface AwsReading {
  readonly material: Material;
  readonly expiresMs: number | undefined;
}

export async function readAwsChain(
  _choice: { readonly profile: string | undefined },
  { env }: Pick<SourceAccess, 'env'>,
): Promise<AwsReading | undefined> {
  const { secret } = await import('./secret.ts');
  const accessKeyId = env.get('AWS_ACCESS_KEY_ID');
  const key = env.get('AWS_SECRET_ACCESS_KEY');
  const token = env.get('AWS_SESSION_TOKEN');
  return accessKeyId === undefined || key === undefined
    ? undefined
    : {
        material: {
          kind: 'aws',
          accessKeyId,
          secretAccessKey: secret(key),
          sessionToken: token === undefined ? undefined : secret(token),
        },
        expiresMs: undefined,
      };
}
