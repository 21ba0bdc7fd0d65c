import { describe, expect, test } from 'vitest';

import { isReadByContent, isVending, type AwsCall } from '../../../src/credentials/aws/aws-vending.ts';

/** Calls of AWS that answer with a fresh key, or leave one of the caller's own behind. */

const call = (service: string, changes: Partial<AwsCall> = {}): AwsCall => ({
  service,
  path: '/',
  parameters: [],
  operations: [],
  ...changes,
});

describe('a call whose answer is a key', () => {
  test.each([
    call('sts', { operations: ['AssumeRole'] }),
    call('sts'),
    call('iam', { operations: ['ListUsers', 'CreateAccessKey'] }),
    call('iam', { operations: ['CreateLoginProfile'] }),
    call('iam', { operations: ['UploadSSHPublicKey'] }),
    call('ec2', { operations: ['CreateKeyPair'] }),
    call('elasticmapreduce', { operations: ['GetClusterSessionCredentials'] }),
    call('lightsail', { operations: ['CreateBucketAccessKey'] }),
    call('lakeformation', { path: '/GetTemporaryGlueTableCredentials' }),
    call('datazone', { path: '/v2/domains/d/environments/e/credentials' }),
    call('s3', { path: '/v20180820/accessgrantsinstance/dataaccess' }),
    call('s3', { parameters: ['session'] }),
    call('codeartifact', { path: '/v1/authorization-token' }),
    call('sso-oauth', { path: '/token' }),
    call('iot', { path: '/keys-and-certificate' }),
    call('ssm', { operations: ['GetAccessToken'] }),
    call('license-manager', { operations: ['GetAccessToken'] }),
    call('codepipeline', { operations: ['GetJobDetails'] }),
    call('iot', { path: '/provisioning-templates/t/provisioning-claim' }),
    call('connect', { path: '/user/federate/i' }),
    call('grafana', { path: '/workspaces/w/apikeys' }),
    call('eks-auth', { path: '/clusters/c/assume-role-for-pod-identity' }),
    call('bedrock-agentcore', { path: '/identities/oauth2/token' }),
    call('airflow', { path: '/clitoken/mine' }),
  ])('$service $operations $path is known for one', (one) => {
    expect(isVending(one)).toBe(true);
  });

  test.each([
    call('sts', { operations: ['GetCallerIdentity'] }),
    call('iam', { operations: ['ListUsers'] }),
    call('ec2', { operations: ['DescribeInstances'] }),
    call('bedrock', { path: '/model/m/invoke' }),
    call('s3', { path: '/folder/credentials' }),
    call('bedrock-agentcore', { path: '/runtimes/r/invocations' }),
    call('ssm', { operations: ['GetParameter'] }),
    call('toString'),
  ])('$service $operations $path is none', (one) => {
    expect(isVending(one)).toBe(false);
  });

  test('content has to be readable where it may name the call, and nowhere else', () => {
    expect(['sts', 'iam', 'ecr', 'ssm'].filter((service) => !isReadByContent(service))).toEqual([]);
    expect(['s3', 'iot', 'bedrock-agentcore', 'toString'].filter(isReadByContent)).toEqual([]);
  });
});
