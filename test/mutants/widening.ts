import type { Mutant } from './mutant.ts';

/** Guards of who may allow more: a person, for what was shown, and nobody else. */
export const wideningMutants: readonly Mutant[] = [
  {
    name: 'project-unasked',
    weakens: "a project's policy holds without anybody having approved it",
    file: 'src/daemon/calls.ts',
    find: '  if (trust === undefined || trust.approved) {\n    return prepared;',
    replace: "  if (trust === undefined || trust.approved || trust.path !== '') {\n    return prepared;",
    caughtBy: ['widening.planted-policy'],
  },
  {
    name: 'asked-twice-allowed',
    weakens: 'what is asked for a second time is allowed',
    file: 'src/gateway/asks/ask-person.ts',
    find: '    return { refusal: { ...refusal, ask: { why: answer.why, id: answer.id } } };',
    replace:
      "    const key = `${exchange.method} ${site.host} ${exchange.target.split('?', 1)[0]}`;\n    if (askedBefore.has(key)) {\n      return { site: onceSite(site, 'again') };\n    }\n    askedBefore.add(key);\n    return { refusal: { ...refusal, ask: { why: answer.why, id: answer.id } } };",
    also: [
      {
        file: 'src/gateway/asks/ask-person.ts',
        find: 'export async function askAboutRequest(',
        replace: 'const askedBefore = new Set<string>();\n\nexport async function askAboutRequest(',
      },
    ],
    caughtBy: ['widening.from-inside', 'widening.forged-question'],
  },
  {
    name: 'question-raw',
    weakens: 'what a program calls itself is shown as it is',
    file: 'src/cli/printing/request-text.ts',
    find: '`${visible(view.program)} (as it calls itself)`',
    replace: '`${view.program} (as it calls itself)`',
    caughtBy: ['widening.forged-question'],
  },
  {
    name: 'approval-of-host',
    weakens: 'who allows one request allows everything at its host',
    file: 'src/policy/proposing/grant-rule.ts',
    find: '  const wanted = functions ?? ownFunction(request);',
    replace: "  const wanted = functions ?? (ownFunction(request) && ('all' as const));",
    caughtBy: ['widening.forged-question'],
  },
  {
    name: 'approval-unseen',
    weakens: 'a request is approved without a terminal and without a yes',
    file: 'src/cli/commands/approve.ts',
    find: "switchOption(parsed, 'yes') ? undefined : await askPerson(context, { view, call })",
    replace: "switchOption(parsed, 'yes') || call.id !== '' ? undefined : await askPerson(context, { view, call })",
    caughtBy: ['widening.forged-question'],
  },
];
