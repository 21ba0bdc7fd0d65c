/** Minutes since midnight of a time written as `HH:MM`. */
export function minutesOf(time) {
  const match = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(time);
  if (match === null) {
    throw new RangeError(`"${time}" is not a time such as 09:30`);
  }
  return Number(match[1]) * 60 + Number(match[2]);
}

/** The span of `hours` that holds `time`, with the minutes that are left in it. */
function spanAt(hours, time) {
  const now = minutesOf(time);
  for (const written of hours) {
    const [from, until] = written.split('-').map(minutesOf);
    if (now >= from && now < until) {
      return { written, left: until - now };
    }
  }
  return undefined;
}

/** Whether a shop with these hours is open at `time`. The minute it closes, it is closed. */
export function isOpen(hours, time) {
  return spanAt(hours, time) !== undefined;
}

/** Minutes until the shop closes; 0 when it is closed. */
export function minutesLeft(hours, time) {
  return spanAt(hours, time)?.left ?? 0;
}
