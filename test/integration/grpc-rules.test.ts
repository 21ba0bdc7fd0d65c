/** gRPC under rules about methods, with a real client and server of gRPC. */
import { Client, credentials, Server, ServerCredentials, status, type ServiceError } from '@grpc/grpc-js';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { createLab, rule, type Lab } from '../helpers/gateway-lab.ts';
import { unusedPort } from '../helpers/unused-port.ts';

const host = 'grpc.example.com';
const bytes = (value: Buffer): Buffer => value;
let lab: Lab;
let server: Server;
let client: Client;
const called: string[] = [];

beforeAll(async () => {
  const port = await unusedPort();
  lab = await createLab({ rules: [rule(host, { ports: [port], http: [{ methods: ['POST'], path: '/echo.Echo/Say' }] })] });
  server = new Server();
  const method = (path: string) => ({
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  });
  server.addService(
    { say: method('/echo.Echo/Say'), erase: method('/echo.Echo/Erase') },
    {
      say: (call: { request: Buffer }, done: (error: null, value: Buffer) => void) => {
        called.push('say');
        done(null, Buffer.from(`said ${call.request.toString()}`));
      },
      erase: (_: unknown, done: (error: null, value: Buffer) => void) => {
        called.push('erase');
        done(null, Buffer.from('erased'));
      },
    },
  );
  const pair = {
    private_key: Buffer.from(lab.upstreamLeaves.privateKeyPem),
    cert_chain: Buffer.from(await lab.upstreamLeaves.sign(host)),
  };
  const at = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(null, [pair]), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  lab.route(host, port, at);
  await lab.openSame(host, port);
  client = new Client(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(lab.authority.certificatePem)), {
    'grpc.ssl_target_name_override': host,
    'grpc.default_authority': `${host}:${port}`,
  });
});
afterAll(async () => {
  client.close();
  server.forceShutdown();
  await lab.close();
});

function call(path: string): Promise<string | ServiceError> {
  return new Promise((resolve) =>
    client.makeUnaryRequest(path, bytes, bytes, Buffer.from('hello'), (error, value) =>
      resolve(error ?? value?.toString() ?? ''),
    ),
  );
}

test('a method that a rule names is called', async () => {
  expect(await call('/echo.Echo/Say')).toBe('said hello');
});

test('another one is not, and the client raises why', async () => {
  const error = await call('/echo.Echo/Erase');
  expect(error).toMatchObject({ code: status.PERMISSION_DENIED });
  expect(String(error)).toContain(
    'casemate: the rules for grpc.example.com do not allow this method and path (function-not-allowed)',
  );
  expect(String(error)).toContain('allow: ["POST /echo.Echo/Erase"]');
  expect(called).toEqual(['say']);
});
