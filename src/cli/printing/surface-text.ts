import type { MeasuredSurface } from '../../proof/surface/measured.ts';
import { familyName, socketPhrases } from '../../proof/surface/socket-names.ts';
import type { RuntimeSurface, SurfaceReport } from './surface-report.ts';
import { facts } from './output.ts';

/** The reachable surface for a terminal: the published part once, and below it what each runtime let through. */
export function surfaceText({ machine, kernel, published, runtimes }: SurfaceReport): string {
  const { calls, judged, absent, sockets } = published;
  return [
    `Published for ${machine}\n`,
    facts([
      ['system calls', `${calls.length}, and ${judged.length} by their arguments`],
      ['', calls.join(' ')],
      ['by arguments', judged.join(' ')],
      ['not implemented', absent.join(' ')],
      ['sockets', socketPhrases(sockets).join(', ')],
    ]),
    ...runtimes.map((row) => `\n${runtimeText(row, kernel)}`),
  ].join('');
}

function runtimeText({ runtime, version, measured, beyond = [], missing }: RuntimeSurface, kernel: string): string {
  if (measured === undefined) {
    return `${runtime}: not measured: ${missing ?? ''}\n`;
  }
  return `Measured with ${version}, kernel ${kernel}\n${facts([
    ['system calls', `${measured.reached.length} reached of ${measured.tried} tried`],
    ['sockets', socketText(measured)],
    ['/proc', measured.procFiles.join(' ') || 'nothing'],
    ['of the host', measured.telltales.join(' ') || 'nothing'],
    ['beyond published', beyond.join(' ') || 'nothing'],
  ])}`;
}

function socketText({ families, protocols }: MeasuredSurface): string {
  return [...families.map(familyName), ...protocols].join(', ') || 'none';
}
