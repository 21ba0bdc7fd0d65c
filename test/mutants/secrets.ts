import type { Mutant } from './mutant.ts';

/** Guards of keys: where they go, what comes back of them, and where they lie. */
export const secretMutants: readonly Mutant[] = [
  {
    name: 'key-to-any-host',
    weakens: 'a request to a host without a credential goes out with one of the sandbox',
    file: 'src/gateway/exchange/judge.ts',
    find: 'const credential = rule.credential === undefined ? undefined : site.live.sandbox.credentials.get(rule.credential);',
    replace: "const credential = site.live.sandbox.credentials.get(rule.credential ?? 'proof-canary');",
    also: [
      {
        file: 'src/gateway/exchange/judge.ts',
        find: 'const isInTheClear = credential !== undefined && !secure && override?.isLoopback !== true;',
        replace: 'const isInTheClear = credential === undefined && secure && override === undefined && host.length === 0;',
      },
    ],
    caughtBy: ['keys.elsewhere', 'keys.in-clear'],
  },
  {
    name: 'phantom-replaced-anywhere',
    weakens: 'the key takes the place of the phantom wherever it stands in the address of a request',
    file: 'src/gateway/injection/inject.ts',
    find: '  return { ok: true, outgoing: { target: input.target, fields, secret } };',
    replace:
      '  const target = input.phantoms.reduce((text, phantom) => text.replaceAll(phantom, secret), input.target);\n  return { ok: true, outgoing: { target, fields, secret } };',
    also: [
      {
        file: 'src/gateway/injection/identity.ts',
        find: 'if (searched.includes(phantom) || decodedTarget.includes(phantom)) {',
        replace: 'if (credential === undefined && (searched.includes(phantom) || decodedTarget.includes(phantom))) {',
      },
    ],
    caughtBy: ['keys.elsewhere'],
  },
  {
    name: 'phantom-unsought',
    weakens: 'a phantom in a header, an address or the content of a request goes on',
    file: 'src/gateway/injection/identity.ts',
    find: '  for (const phantom of phantoms) {',
    replace: '  for (const phantom of phantoms.slice(phantoms.length)) {',
    also: [
      {
        file: 'src/gateway/exchange/outgoing-request.ts',
        find: '  if (site.live.phantoms().length === 0) {',
        replace: '  if (site.live.phantoms().length >= 0) {',
      },
    ],
    caughtBy: ['keys.elsewhere'],
  },
  {
    name: 'phantom-without-alarm',
    weakens: 'a phantom where it does not belong is refused without an alarm',
    file: 'src/gateway/secrets/alarm.ts',
    find: '  return names.find((name) => name === reason);',
    replace: "  return names.find((name) => name === reason && name === 'secret-outgoing');",
    caughtBy: ['keys.elsewhere'],
  },
  {
    name: 'upstream-unverified',
    weakens: 'the certificate of an upstream is not verified',
    file: 'src/gateway/tls/start-tls.ts',
    find: '    rejectUnauthorized: true,',
    replace: '    rejectUnauthorized: false,',
    caughtBy: ['keys.certificates'],
  },
  {
    name: 'upstream-name-unchecked',
    weakens: 'a certificate of an upstream that is good for another name will do',
    file: 'src/gateway/tls/start-tls.ts',
    find: '    rejectUnauthorized: true,',
    replace: '    rejectUnauthorized: true,\n    checkServerIdentity: () => undefined,',
    caughtBy: ['keys.certificates'],
  },
  {
    name: 'key-in-clear',
    weakens: 'a key is sent without TLS, too',
    file: 'src/gateway/exchange/judge.ts',
    find: 'const isInTheClear = credential !== undefined && !secure && override?.isLoopback !== true;',
    replace: 'const isInTheClear = credential !== undefined && !secure && override?.isLoopback === false;',
    caughtBy: ['keys.in-clear'],
  },
];
