import { readFile } from 'node:fs/promises';

import { dataFile } from '../../system/data-file.ts';
import type { SecondHome } from './second-home.ts';

/** A client of the Docker that a sandbox is offered, like a program inside: it may send anything. */
export interface BrokerAnswer {
  /** 0: there was none */
  readonly status: number;
  /** its beginning */
  readonly text: string;
}

export interface BrokerRequest {
  readonly method: 'GET' | 'POST' | 'DELETE' | 'PUT';
  /** without a version */
  readonly path: string;
  readonly body?: object | undefined;
}

/** In the order of the requests. */
export async function askBroker(
  { casemate }: Pick<SecondHome, 'casemate'>,
  sandbox: string,
  requests: readonly BrokerRequest[],
): Promise<readonly BrokerAnswer[]> {
  const program = await readFile(dataFile('proof/inside/broker.pl'), 'utf8');
  const lines = requests.map(({ method, path, body }) => [
    method,
    `/v1.41${path}`,
    body === undefined ? '' : JSON.stringify(body),
  ]);
  const { out } = await casemate(['exec', sandbox, '--no-tty', '--', 'perl', '-e', program.replaceAll(/^\s*#.*\n/gm, '')], {
    input: lines.map((words) => `${words.join('\t')}\n`).join(''),
  });
  const answers = out.toString('utf8').split('\n');
  return requests.map((_, index) => {
    const [status = '0', hex = ''] = (answers[index] ?? '').split('\t');
    return { status: Number(status), text: Buffer.from(hex, 'hex').toString('utf8') };
  });
}

export const noAnswer: BrokerAnswer = { status: 0, text: '' };

/** Of what was made. */
export function idIn({ status, text }: BrokerAnswer): string | undefined {
  return status === 201 ? /"Id":"([0-9a-f]{64})"/.exec(text)?.[1] : undefined;
}
