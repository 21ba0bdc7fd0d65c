/**
 * Calls of AWS whose answer is a fresh credential: signed for a sandbox, they would bring a real one into it. Of the
 * services here the calls are known by name; what a service keeps as data, such as a secret store, is not among them.
 */
export interface AwsCall {
  readonly service: string;
  readonly path: string;
  /** clear names of the parameters of the query */
  readonly parameters: readonly string[];
  /** every name of an operation the call bears: `Action` parameters, the target header, the path */
  readonly operations: readonly string[];
}

const vending: Readonly<Record<string, (call: AwsCall) => boolean>> = {
  sts: ({ operations }) => operations.length !== 1 || operations[0] !== 'GetCallerIdentity',
  iam: named('CreateAccessKey', 'CreateServiceSpecificCredential', 'ResetServiceSpecificCredential'),
  ecr: named('GetAuthorizationToken'),
  'ecr-public': named('GetAuthorizationToken'),
  'cognito-identity': named('GetCredentialsForIdentity', 'GetOpenIdToken', 'GetOpenIdTokenForDeveloperIdentity'),
  redshift: named('GetClusterCredentials', 'GetClusterCredentialsWithIAM'),
  'redshift-serverless': named('GetCredentials'),
  codeartifact: ({ path }) => path.toLowerCase().includes('authorization-token'),
  // CreateSession answers with keys of its own for directory buckets.
  s3: ({ parameters }) => parameters.includes('session'),
  s3express: ({ parameters }) => parameters.includes('session'),
};

function named(...names: readonly string[]): (call: AwsCall) => boolean {
  return ({ operations }) => operations.some((operation) => names.includes(operation));
}

/** Whether the answer would hold a credential. */
export function isVending(call: AwsCall): boolean {
  return Object.hasOwn(vending, call.service) && vending[call.service]?.(call) === true;
}

/** Whether calls of this service are told apart by their content, so that it has to be readable. */
export function isReadByContent(service: string): boolean {
  return Object.hasOwn(vending, service) && !service.startsWith('s3');
}
