/**
 * AWS calls that answer with a fresh credential: signed for a sandbox, they would bring a real one into it. The calls are known
 * by name for the services listed here. Data that a service stores, such as a secret store's, is not covered.
 */
export interface AwsCall {
  readonly service: string;
  readonly path: string;
  /** clear names of the parameters of the query */
  readonly parameters: readonly string[];
  /** every name of an operation the call bears: `Action` parameters, the target header, the path */
  readonly operations: readonly string[];
}

type Judges = Readonly<Record<string, (call: AwsCall) => boolean>>;

/** Told apart by the name of the operation, which stands in the content or the head. */
const byOperation: Judges = {
  sts: ({ operations }) => operations.length !== 1 || operations[0] !== 'GetCallerIdentity',
  iam: named(
    'CreateAccessKey',
    'CreateServiceSpecificCredential',
    'ResetServiceSpecificCredential',
    // Keys that the caller brings along, for an account that stays.
    'CreateLoginProfile',
    'UpdateLoginProfile',
    'ChangePassword',
    'UploadSSHPublicKey',
    'UploadSigningCertificate',
    'CreateVirtualMFADevice',
  ),
  ecr: named('GetAuthorizationToken'),
  'ecr-public': named('GetAuthorizationToken'),
  'cognito-identity': named('GetCredentialsForIdentity', 'GetOpenIdToken', 'GetOpenIdTokenForDeveloperIdentity'),
  redshift: named('GetClusterCredentials', 'GetClusterCredentialsWithIAM'),
  'redshift-serverless': named('GetCredentials'),
  elasticmapreduce: named('GetClusterSessionCredentials'),
  lightsail: named(
    'CreateBucketAccessKey',
    'CreateKeyPair',
    'DownloadDefaultKeyPair',
    'GetInstanceAccessDetails',
    'GetRelationalDatabaseMasterUserPassword',
  ),
  ec2: named('CreateKeyPair', 'GetPasswordData'),
  gamelift: named('GetComputeAuthToken', 'GetInstanceAccess', 'RequestUploadCredentials'),
  // Access to a machine for a while, with keys of a role.
  ssm: named('GetAccessToken'),
  'license-manager': named('GetAccessToken'),
  // What a job reads and writes comes with keys for it.
  codepipeline: named('PollForJobs', 'PollForThirdPartyJobs', 'GetJobDetails', 'GetThirdPartyJobDetails'),
};

/** Told apart by the address alone. */
const byAddress: Judges = {
  // Sign-on of people: tokens and keys of their roles.
  'sso-oauth': () => true,
  awsssooidc: () => true,
  awsssoportal: () => true,
  lakeformation: inPath('assumedecoratedrolewithsaml', 'gettemporary'),
  datazone: inPath('credentials'),
  'emr-containers': inPath('credentials'),
  'emr-serverless': inPath('sessionendpoint', 'credentials'),
  finspace: inPath('credentials'),
  'finspace-api': inPath('credentials'),
  deadline: inPath('iam-roles', '-roles'),
  iot: inPath('keys-and-certificate', 'provisioning-claim'),
  connect: inPath('/user/federate'),
  grafana: inPath('/apikeys', '/tokens'),
  rolesanywhere: inPath('sessions'),
  'eks-auth': inPath('assume-role-for-pod-identity'),
  // Keys of other services that an agent's identity there stands for.
  'bedrock-agentcore': inPath('/identities/'),
  airflow: inPath('clitoken', 'webtoken'),
  codeartifact: ({ path }) => path.toLowerCase().includes('authorization-token'),
  // CreateSession answers with keys of its own for directory buckets.
  s3: ({ parameters, path }) => parameters.includes('session') || path.toLowerCase().includes('/accessgrantsinstance/dataaccess'),
  s3express: ({ parameters }) => parameters.includes('session'),
};

function named(...names: readonly string[]): (call: AwsCall) => boolean {
  return ({ operations }) => operations.some((operation) => names.includes(operation));
}

function inPath(...parts: readonly string[]): (call: AwsCall) => boolean {
  return ({ path }) => parts.some((part) => path.toLowerCase().includes(part));
}

/** Whether the answer would hold a credential. */
export function isVending(call: AwsCall): boolean {
  return [byOperation, byAddress].some((judges) => Object.hasOwn(judges, call.service) && judges[call.service]?.(call) === true);
}

/** Whether calls of this service are told apart by their content, so that it has to be readable. */
export function isReadByContent(service: string): boolean {
  return Object.hasOwn(byOperation, service);
}
