/** A stopwatch of the processor time that this thread used: what others do on a busy machine is not in it. */

/** Starts it; what is returned reads it, in milliseconds. */
export function ownTime(): () => number {
  const start = process.threadCpuUsage();
  return () => {
    const { user, system } = process.threadCpuUsage(start);
    return (user + system) / 1000;
  };
}
