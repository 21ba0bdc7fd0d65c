/** Sizes and times as people write them. Pure and never throws: text that cannot be read gives `undefined`. */

const sizeUnits: Readonly<Record<string, number>> = {
  b: 1,
  k: 1024,
  kb: 1000,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1000 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1000 ** 3,
  gib: 1024 ** 3,
  t: 1024 ** 4,
  tb: 1000 ** 4,
  tib: 1024 ** 4,
};

const timeUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `"2GiB"`, `"512m"` or a number of bytes, as bytes. */
export function parseBytes(written: string | number): number | undefined {
  return parse(written, sizeUnits);
}

/** `"90s"`, `"2h"` or a number of milliseconds with the unit `ms`, as milliseconds. A bare number is refused: no unit. */
export function parseDurationMs(written: string): number | undefined {
  return /^\d+(?:\.\d+)?$/.test(written.trim()) ? undefined : parse(written, timeUnits);
}

function parse(written: string | number, units: Readonly<Record<string, number>>): number | undefined {
  const value = typeof written === 'number' ? written : parseText(written.trim(), units);
  return value !== undefined && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

function parseText(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text) ?? [];
  const factor = unit === '' ? 1 : units[unit.toLowerCase()];
  return number === undefined || factor === undefined ? undefined : Math.round(Number(number) * factor);
}

export function formatBytes(bytes: number): string {
  const steps = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let step = 0;
  while (value >= 1024 && step < steps.length - 1) {
    value /= 1024;
    step += 1;
  }
  return `${Number(value.toFixed(value < 10 && step > 0 ? 1 : 0))} ${steps[step] ?? ''}`;
}

export function formatDuration(ms: number): string {
  if (ms < 1000) {
    return `${Math.round(ms)} ms`;
  }
  const seconds = ms / 1000;
  if (seconds < 60) {
    return `${Number(seconds.toFixed(1))} s`;
  }
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
