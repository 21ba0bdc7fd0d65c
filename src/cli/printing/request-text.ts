import { visible } from '../../base/text.ts';
import { denyWords } from '../../policy/proposing/deny-words.ts';
import type { RequestView } from '../../sandbox/requests/approvals.ts';

/** One denied request as a person reads it before answering. Control characters from the sandbox are made visible. */
export function requestText(view: RequestView, nowMs: number): string {
  const rows: readonly (readonly [string, string])[] = [
    ['asks', wanted(view)],
    ['because', denyWords[view.reason]],
    ...(view.program === undefined ? [] : [['program', `${visible(view.program)} (as it calls itself)`] as const]),
    ...view.risks.map((risk) => ['careful', visible(risk)] as const),
    ...(view.plea === undefined ? [] : [['plea', `${visible(view.plea.actor)} says: ${visible(view.plea.reason)}`] as const]),
    ['rule', view.rule],
  ];
  const title = `${view.id}  ${stateOf(view, nowMs)}  sandbox ${visible(view.name)}`;
  return `${title}\n${rows.map(([name, value]) => `  ${name.padEnd(8)} ${value}\n`).join('')}`;
}

function wanted({ scheme, host, port, method, target }: RequestView): string {
  const isUsual = port === (scheme === 'https' ? 443 : 80);
  return method === undefined
    ? `a connection to ${host}:${port}`
    : `${visible(method)} ${scheme}://${host}${isUsual ? '' : `:${port}`}${visible(target ?? '')}`;
}

function stateOf({ state, untilMs, held, count }: RequestView, nowMs: number): string {
  const times = count > 1 ? `, asked ${count} times` : '';
  if (state === 'denied') {
    return `denied${times}`;
  }
  const left = Math.max(0, Math.round(((untilMs ?? nowMs) - nowMs) / 1000));
  return held === 0 ? `its caller has gone${times}` : `waits ${left} s${times}`;
}
