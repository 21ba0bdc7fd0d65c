import type { Action, Outcome, Script, Turn } from './script.ts';

/** The script of the tour: run the sample's tests, find the fault, mend it, try a forbidden host, run the tests again. */

export interface MendOptions {
  /** folder of the sample as the agent sees it */
  readonly root: string;
  /** address that the sandbox must refuse; `undefined`: not tried */
  readonly reach: string | undefined;
}

const before = `    if (now >= from && now < until) {
      return { written, left: until - now };
    }`;
const after = `    // Hours that end before they begin pass midnight: their length is counted round the clock.
    const length = (until - from + 1440) % 1440;
    const since = (now - from + 1440) % 1440;
    if (since < length) {
      return { written, left: length - since };
    }`;

interface Step {
  readonly say: string;
  readonly act: Action;
  /** what the model says and stops with when the outcome leaves no way on */
  readonly stop: (outcome: Outcome) => string | undefined;
}

export function mendSample(options: MendOptions): Script {
  const steps = stepsOf(options);
  return (outcomes) => {
    for (const [index, outcome] of outcomes.entries()) {
      const ended = steps[index]?.stop(outcome);
      if (ended !== undefined) {
        return done(ended);
      }
    }
    const next = steps[outcomes.length];
    return next === undefined ? done(summary(outcomes, options)) : { say: next.say, act: next.act };
  };
}

function stepsOf({ root, reach }: MendOptions): readonly Step[] {
  const path = `${root}/src/opening-hours.js`;
  const testRun: Action = { kind: 'run', command: 'node --test', about: 'Run the tests' };
  const reachStep: Step = {
    say: 'I look whether there is documentation for this online.',
    act: { kind: 'run', command: `curl -sS --max-time 20 ${reach ?? ''}`, about: 'Fetch a web page' },
    stop: () => undefined,
  };
  return [
    { say: 'I run the tests first, to see what fails.', act: testRun, stop: stopUnlessRed },
    { say: 'The test about midnight fails. I read the source.', act: { kind: 'read', path }, stop: refused('read the source') },
    {
      say: 'Hours such as 20:00-02:00 end before they begin, so no time lies within them. I count round the clock instead.',
      act: { kind: 'edit', path, before, after },
      stop: refused('change the source'),
    },
    ...(reach === undefined ? [] : [reachStep]),
    { say: 'I run the tests again.', act: testRun, stop: () => undefined },
  ];
}

function refused(what: string): Step['stop'] {
  return (outcome) => (outcome.failed ? `I could not ${what}: ${firstLine(outcome)}` : undefined);
}

/** A failing test run also counts as a failed tool call; only without a test report was the command itself refused. */
function stopUnlessRed(outcome: Outcome): string | undefined {
  if (failures(outcome) === undefined) {
    return `I could not run the tests: ${firstLine(outcome)}`;
  }
  return failures(outcome) === 0 ? 'All tests pass already; there is nothing to mend.' : undefined;
}

function summary(outcomes: readonly Outcome[], { reach }: MendOptions): string {
  const last = outcomes.at(-1);
  const left = last === undefined ? undefined : failures(last);
  const tests =
    left === 0
      ? 'Done: opening hours that pass midnight are now counted round the clock, and all tests pass.'
      : `The change is made, but the tests do not pass: ${last === undefined ? 'no report' : firstLine(last)}`;
  const web = reach === undefined ? undefined : outcomes.at(-2);
  return web === undefined ? tests : `${tests} ${aboutReach(web, reach ?? '')}`;
}

function aboutReach(outcome: Outcome, address: string): string {
  const closed = outcome.failed || /casemate|not allowed|forbidden|refused|denied/i.test(outcome.text);
  return closed
    ? `I could not reach ${address} from here (${firstLine(outcome)}); it was not needed.`
    : `I also looked at ${address}; it was not needed.`;
}

/** Number of failed tests in a report of `node --test`, in its `spec` or `tap` form. */
function failures(outcome: Outcome): number | undefined {
  const count = /^(?:ℹ|#) fail (\d+)\s*$/m.exec(outcome.text)?.[1];
  return count === undefined ? undefined : Number(count);
}

function firstLine(outcome: Outcome): string {
  const lines = outcome.text.split('\n').map((line) => line.trim());
  return (
    lines.find((line) => line !== '' && !/^(?:Exit code \d+|Script completed|Wall time .*|Output:)$/.test(line)) ??
    'no reason given'
  ).slice(0, 160);
}

function done(say: string): Turn {
  return { say, act: undefined };
}
