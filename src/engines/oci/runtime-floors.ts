import type { SandboxSpec } from '../engine.ts';

/**
 * Known-bad versions of container runtimes. Pure. A flaw that a sandbox of this engine could be exposed to refuses the version;
 * the others are listed with the reason why they do not apply here.
 */

export interface Flaw {
  readonly id: string;
  /** first good version of each release line, newest line last; older lines never got the fix */
  readonly fixedIn: readonly string[];
  /** first version that has the flaw */
  readonly since?: string;
  /** Debian packages that have the fix under an older number */
  readonly packages: readonly string[];
  /** why no sandbox of ours can meet it, so that a package without the fix is accepted */
  readonly outOfReach?: string;
}

const ownDev =
  'needs a /dev, /proc or mount that another container writes to; here each is fresh, private and made before anything of the image runs';

/** From the projects' security advisories and the Debian changelogs. */
const knownFlaws: Readonly<Record<SandboxSpec['runtime'], readonly Flaw[]>> = {
  runc: [
    { id: 'CVE-2023-27561', fixedIn: ['1.1.5'], packages: [] },
    { id: 'CVE-2024-21626', fixedIn: ['1.1.12', '1.2.0'], packages: ['1.1.5+ds1-1+deb12u1'] },
    { id: 'CVE-2025-31133', fixedIn: ['1.2.8', '1.3.3', '1.4.0-rc.3'], packages: [], outOfReach: ownDev },
    { id: 'CVE-2025-52565', fixedIn: ['1.2.8', '1.3.3', '1.4.0-rc.3'], packages: [], outOfReach: ownDev },
    { id: 'CVE-2025-52881', fixedIn: ['1.2.8', '1.3.3', '1.4.0-rc.3'], packages: [], outOfReach: ownDev },
    {
      id: 'CVE-2026-41579',
      fixedIn: ['1.3.6', '1.4.3', '1.5.0-rc.3'],
      packages: [],
      outOfReach: 'needs an image whose /dev is a symbolic link; such an image is refused',
    },
  ],
  crun: [
    { id: 'CVE-2022-27650', fixedIn: ['1.4.4'], packages: [] },
    {
      id: 'CVE-2026-30892',
      since: '1.19',
      fixedIn: ['1.27'],
      packages: [],
      outOfReach: 'the user is given in process.json, not by --user',
    },
  ],
  // numbered by date
  runsc: [
    {
      id: 'CVE-2023-7258',
      fixedIn: ['20240514'],
      packages: [],
      outOfReach: 'ends the sandbox that tries it, which its programs can do anyway',
    },
    {
      id: 'CVE-2025-2713',
      fixedIn: ['20250319'],
      packages: [],
      outOfReach:
        "gives rights over files of the image, which is read-only and no secret; gVisor's file server has none over others",
    },
  ],
};

/** Packages of a distribution that still takes care of them and has nothing newer: accepted with what is out of reach. */
const caredFor = /\+deb\d+u\d+$/;

export interface InstalledRuntime {
  readonly name: SandboxSpec['runtime'];
  readonly version: string;
  /** of the Debian package, if it is one */
  readonly package: string | undefined;
}

export function judgeRuntime(installed: InstalledRuntime): { readonly available: boolean; readonly detail: string } {
  const { name, version } = installed;
  const shown = `${name} ${version}${installed.package === undefined ? '' : ` (package ${installed.package})`}`;
  const open = knownFlaws[name].filter((flaw) => hasFlaw(flaw, installed));
  const isCaredFor = installed.package !== undefined && caredFor.test(installed.package);
  const blocking = open.filter(({ outOfReach }) => outOfReach === undefined || !isCaredFor);
  if (blocking.length > 0) {
    const fixes = [...new Set(blocking.flatMap(({ fixedIn }) => fixedIn))].join(', ');
    return { available: false, detail: `${shown} has ${blocking.map(({ id }) => id).join(', ')}; fixed in ${fixes}` };
  }
  const reasons = [...new Set(open.flatMap(({ outOfReach }) => outOfReach ?? []))].join('; ');
  return {
    available: true,
    detail: open.length === 0 ? shown : `${shown}; without ${open.map(({ id }) => id).join(', ')}, out of reach here: ${reasons}`,
  };
}

/** The release of Debian 12. */
const oldestGvisor = '20221219';

/** gVisor numbers its releases by date: `release-20240513.0`, `0.0~20221219.0`. */
export function judgeGvisor(text: string): { readonly available: boolean; readonly detail: string } {
  const date = /\b(20\d{6})\b/.exec(text)?.[1];
  if (date === undefined || date < oldestGvisor) {
    return { available: false, detail: `runsc ${date ?? 'without a date'}: ${oldestGvisor} is the oldest that was tried` };
  }
  const open = knownFlaws.runsc.filter((flaw) => hasFlaw(flaw, { name: 'runsc', version: date, package: undefined }));
  const met = open.filter(({ outOfReach }) => outOfReach === undefined);
  return { available: met.length === 0, detail: [`runsc ${date}`, ...open.map(unmet)].join('; ') };
}

function unmet({ id, outOfReach, fixedIn }: Flaw): string {
  return outOfReach === undefined
    ? `it has ${id}, fixed in ${fixedIn.join(', ')}`
    : `without ${id}, out of reach here: ${outOfReach}`;
}

function hasFlaw(flaw: Flaw, { version, package: debian }: InstalledRuntime): boolean {
  if (flaw.since !== undefined && compareVersions(version, flaw.since) < 0) {
    return false;
  }
  if (debian !== undefined && flaw.packages.some((fixed) => isSamePackageOrLater(debian, fixed))) {
    return false;
  }
  const sameLine = flaw.fixedIn.find((fixed) => lineOf(fixed) === lineOf(version));
  const first = sameLine ?? flaw.fixedIn.at(-1) ?? '';
  return compareVersions(version, first) < 0;
}

function isSamePackageOrLater(debian: string, fixed: string): boolean {
  const [stem, update] = split(fixed);
  const [ownStem, ownUpdate] = split(debian);
  return stem === ownStem && ownUpdate >= update;
}

/** `1.1.5+ds1-1+deb12u1` as its beginning and the number of its last update. */
function split(debian: string): readonly [string, number] {
  const match = /^(.*u)(\d+)$/.exec(debian);
  return [match?.[1] ?? debian, Number(match?.[2] ?? 0)];
}

function lineOf(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

/** The first version number in a text: `1.4.0-rc.2`, without what a distribution appends (`+ds1-1`). */
export function parseVersion(text: string): string | undefined {
  return /\bv?(\d+\.\d+(?:\.\d+)?(?:-rc\.?\d+)?)/.exec(text)?.[1];
}

/** Below, at or above 0 as `a` is older than, the same as or newer than `b`; a release candidate is older than its release. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbers(a), numbers(b)];
  for (let index = 0; index < 4; index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  return 0;
}

/** major, minor, patch, candidate */
function numbers(version: string): readonly number[] {
  const [release = '', candidate] = version.split('-');
  const [major = 0, minor = 0, patch = 0] = release.split('.').map(Number);
  return [major, minor, patch, candidate === undefined ? Number.MAX_SAFE_INTEGER : Number(/\d+/.exec(candidate)?.[0] ?? 0)];
}
