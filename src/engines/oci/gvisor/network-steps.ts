/** Settings of the sandbox's network (sysctl(8), for example `net.ipv4.tcp_rmem`), as steps that `keep.pl` carries out. Pure. */
export function networkSteps(settings: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(settings).map(([name, text]) => `net:${name.replace(/^net\./, '').replaceAll('.', '/')}:${text}`);
}
