import type { Mutant } from './mutant.ts';

/** Guards of what may be done at a host that is allowed, and in whose name. */
export const functionMutants: readonly Mutant[] = [
  {
    name: 'path-as-it-is',
    weakens: 'a path is compared with the rules as it is written, whatever servers make of it',
    file: 'src/policy/matching/canonical-path.ts',
    find: "  if (!path.startsWith('/') || !/^[!-~]+$/.test(path)",
    replace: "  if (path.startsWith('/')) {\n    return path;\n  }\n  if (!path.startsWith('/') || !/^[!-~]+$/.test(path)",
    caughtBy: ['functions.undeclared'],
  },
  {
    name: 'overrides-forwarded',
    weakens: 'fields that name another method or path go on',
    file: 'src/gateway/exchange/permit.ts',
    find: '  return hasFunctions(rule) ? fields.filter(([name]) => !isRewriting(name)) : fields;',
    replace: "  return hasFunctions(rule) ? fields.filter(([name]) => !isRewriting(name) || name !== '') : fields;",
    caughtBy: ['functions.overridden'],
  },
  {
    name: 'own-key-forwarded',
    weakens: "a key of the caller's own goes on, beside the one of the gateway",
    file: 'src/gateway/injection/identity.ts',
    find: '  return foreignHeader(claims) ?? foreignParameter(claims) ?? misplaced(claims);',
    replace: '  return foreignParameter(claims) ?? misplaced(claims);',
    also: [
      {
        file: 'src/gateway/injection/inject.ts',
        find: '.filter(([name]) => !isIdentity(name));',
        replace: ".filter(([name]) => !isIdentity(name) || name !== '');",
      },
    ],
    caughtBy: ['functions.own-key'],
  },
  {
    name: 'own-key-in-query',
    weakens: "a key of the caller's own in the query goes on",
    file: 'src/gateway/injection/identity.ts',
    find: '  return foreignHeader(claims) ?? foreignParameter(claims) ?? misplaced(claims);',
    replace: '  return foreignHeader(claims) ?? misplaced(claims);',
    caughtBy: ['functions.own-key'],
  },
  {
    name: 'git-branch-unchecked',
    weakens: 'a push may change whatever branch of a repository that may be pushed to',
    file: 'src/policy/judging/git-content.ts',
    find: '      !grants.some(({ push, changes }) => changes.includes(change) && push.some((one) => matchesRef(one, ref))),',
    replace: '      !grants.some(({ push, changes }) => changes.includes(change) && push.length > 0 && ref.length > 0),',
    caughtBy: ['functions.git'],
  },
  {
    name: 'git-repository-unchecked',
    weakens: 'what may be done to one repository may be done to all',
    file: 'src/policy/judging/git-request.ts',
    find: 'return git.filter((one) => matchPath(compileGlob(fold(one.repository)), fold(repository)));',
    replace:
      'return git.filter((one) => fold(one.repository) !== repository || isCaseless || matchPath(compileGlob(fold(one.repository)), fold(repository)));',
    caughtBy: ['functions.git'],
  },
  {
    name: 'registry-writable',
    weakens: 'whatever is asked of a package registry is taken for reading a package',
    file: 'src/policy/judging/registry-path.ts',
    find: "return isPlain && (method === 'GET' || method === 'HEAD') && forms[kind].some((form) => form.test(path));",
    replace: 'return isPlain || forms[kind].length + method.length > 0;',
    caughtBy: ['functions.registry'],
  },
  {
    name: 'registry-takes-content',
    weakens: 'content goes along with a read of a package',
    file: 'src/gateway/exchange/judge.ts',
    find: '  return registry !== undefined && http === undefined && body !== undefined\n',
    replace: '  return registry !== undefined && http === undefined && body === null\n',
    caughtBy: ['functions.registry'],
  },
  {
    name: 'registry-account',
    weakens: "an account of the caller's own goes to a package registry",
    file: 'src/gateway/exchange/permit.ts',
    find: '  return rule.registry === undefined || credential !== undefined\n',
    replace: "  return rule.registry !== 'none' || credential !== undefined\n",
    caughtBy: ['functions.registry'],
  },
  {
    name: 'budget-ignored',
    weakens: 'requests are counted, and none is refused for it',
    file: 'src/gateway/guards/budgets.ts',
    find: "return want > 0 && used + want > limit ? 'spent' : undefined;",
    replace: "return want > 0 && used + want > limit + 1_000_000 ? 'spent' : undefined;",
    caughtBy: ['functions.budget'],
  },
];
