import type { SandboxView, StatsAnswer } from '../../daemon/protocol.ts';

/** Budgets and alarms of a sandbox as rows of text. */

type Budget = StatsAnswer['budgets'][number];

const kinds: Readonly<Record<Budget['kind'], string>> = {
  requests: 'requests',
  bytesOut: 'bytes out',
  inputTokens: 'input tokens',
  outputTokens: 'output tokens',
  tokens: 'tokens',
  spendMicros: 'spend',
};

export function budgetRows(budgets: StatsAnswer['budgets']): readonly (readonly [string, string])[] {
  return budgets.map(({ kind, credential, per, over, used, limit }) => {
    const whose = [
      per === 'life' ? '' : `this ${per}`,
      credential === undefined ? '' : `with ${credential}`,
      over === 'all' ? 'by all sandboxes' : '',
    ].filter((part) => part !== '');
    return ['budget', [`${amount(kind, used)} of ${amount(kind, limit)} ${kinds[kind]}`, ...whose].join(', ')];
  });
}

function amount(kind: Budget['kind'], value: number): string {
  return kind === 'spendMicros' ? `$${(value / 1_000_000).toFixed(4)}` : String(value);
}

export function alarmText({ alarms, id }: Pick<SandboxView, 'alarms' | 'id'>): string {
  return alarms === 0
    ? 'none'
    : `${alarms} ${alarms === 1 ? 'alarm' : 'alarms'}; see: casemate journal query --action alarm. --sandbox ${id}`;
}
