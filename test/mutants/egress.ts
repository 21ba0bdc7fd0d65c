import type { Mutant } from './mutant.ts';

/** Guards of the gateway and of what leaves a sandbox. */
export const egressMutants: readonly Mutant[] = [
  {
    name: 'resolved-before-deciding',
    weakens: 'a name is resolved before it is known whether it is allowed',
    file: 'src/gateway/connection.ts',
    find: '  const rules = decisiveRules(live.book.now(), host, localPort);\n  const speech',
    replace:
      '  void live.dialer.tcp({ host, port: localPort, override: undefined }, AbortSignal.timeout(500));\n  const rules = decisiveRules(live.book.now(), host, localPort);\n  const speech',
    caughtBy: ['names.denied-not-resolved'],
  },
  {
    name: 'suffix-match',
    weakens: 'a wildcard matches whatever ends like it, whole label or not',
    file: 'src/policy/matching/host-pattern.ts',
    find: 'host.endsWith(`.${pattern.host}`)',
    replace: 'host.endsWith(pattern.host)',
    caughtBy: ['names.lookalikes'],
  },
  {
    name: 'queries-resolved',
    weakens: 'the resolver inside asks outside for what it does not know',
    file: 'src/gateway/create-gateway.ts',
    find: '    mayAnswer: rate.take,',
    replace:
      '    mayAnswer() {\n      return rate.take();\n    },\n    onQuery: (host: HostName) => void dialer.tcp({ host, port: 443, override: undefined }, AbortSignal.timeout(500)),',
    also: [
      {
        file: 'src/gateway/names/dns.ts',
        find: '  const host = ascii.test(question.name) ? canonicalHost(question.name) : undefined;',
        replace:
          '  const host = ascii.test(question.name) ? canonicalHost(question.name) : undefined;\n  if (host !== undefined) {\n    (context as unknown as { onQuery: (name: string) => void }).onQuery(host);\n  }',
      },
      {
        file: 'src/gateway/create-gateway.ts',
        find: 'function dnsContext({ sandbox, names,',
        replace: 'function dnsContext({ dialer, sandbox, names,',
      },
    ],
    caughtBy: ['names.every-record'],
  },
  {
    name: 'odd-names-cut',
    weakens: 'signs that no host name holds are cut out of a name instead of refusing it',
    file: 'src/gateway/names/dns.ts',
    find: 'const host = ascii.test(question.name) ? canonicalHost(question.name) : undefined;',
    replace: "const host = canonicalHost(question.name.replaceAll(/[^\\w.-]/g, ''));",
    caughtBy: ['names.odd-labels'],
  },
  {
    name: 'punycode-unchecked',
    weakens: 'a label that only looks like Punycode is a name like any other',
    file: 'src/base/host.ts',
    find: 'isHostName(bare) && isGenuine(bare) ? bare : undefined',
    replace: 'isHostName(bare) ? bare : undefined',
    caughtBy: ['names.odd-labels'],
  },
  {
    name: 'wildcard-unbounded',
    weakens: 'as many names as one likes may be used below a wildcard',
    file: 'src/gateway/exchange/judge.ts',
    find: "return pattern.kind === 'exact' || live.wildcards.admit(",
    replace: "return pattern.kind === 'exact' || pattern.host !== '' || live.wildcards.admit(",
    caughtBy: ['names.wildcard-channel'],
  },
];
