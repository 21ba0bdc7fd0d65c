/**
 * Files in a sandbox's home where tools look for credentials; here they hold phantoms. One row for each tool; several
 * credentials may have lines in the same file.
 */
const placeNames = ['git', 'gh', 'npmrc', 'netrc', 'pypirc'] as const;
export type PlaceName = (typeof placeNames)[number];

/** A credential and the places it is bound to. */
export interface Placed {
  readonly places: readonly PlaceName[];
  readonly phantom: string;
  /** user of Basic at this host; `undefined`: it goes another way there */
  readonly userAt: (host: string) => string | undefined;
  /** exact hosts with their ports */
  readonly sites: readonly Site[];
}

export interface Site {
  readonly host: string;
  readonly port: number;
}

export interface PlacedFile {
  /** relative to the home */
  readonly path: string;
  readonly content: string;
}

type Lines = readonly { readonly path: string; readonly text: string }[];

/** Have no room for a second credential: the first one has them. */
const forOne: readonly string[] = ['.config/gh/hosts.yml', '.pypirc'];

/** The files, sorted by path; a file without a line is not made. */
export function placementFiles(credentials: readonly Placed[]): readonly PlacedFile[] {
  const lines = credentials.flatMap((placed) => placed.places.flatMap((name) => writers[name](placed)));
  const paths = [...new Set(lines.map(({ path }) => path))].toSorted();
  return paths.map((path) => {
    const texts = lines.flatMap((line) => (line.path === path ? [line.text] : []));
    return { path, content: forOne.includes(path) ? (texts[0] ?? '') : texts.join('') };
  });
}

const writers: Readonly<Record<PlaceName, (placed: Placed) => Lines>> = { git, gh, npmrc, netrc, pypirc };

/** git asks its store; addresses for SSH, which has no way out of a sandbox, become those for HTTPS. */
function git({ phantom, sites, userAt }: Placed): Lines {
  return sites
    .filter(({ host }) => userAt(host) !== undefined)
    .flatMap((site) => {
      const user = userAt(site.host) ?? '';
      const origin = originOf(site);
      const config = `[credential "${origin}"]\n\thelper =\n\thelper = store\n\tusername = ${user}\n`;
      const instead = `[url "${origin}/"]\n\tinsteadOf = git@${site.host}:\n\tinsteadOf = ssh://git@${site.host}/\n`;
      return [
        { path: '.gitconfig', text: config + instead },
        {
          path: '.git-credentials',
          text: `https://${encodeURIComponent(user)}:${encodeURIComponent(phantom)}@${authorityOf(site)}\n`,
        },
      ];
    });
}

function gh({ phantom, sites, userAt }: Placed): Lines {
  const [site] = sites.filter(({ host }) => host === 'github.com');
  return site === undefined
    ? []
    : [
        {
          path: '.config/gh/hosts.yml',
          text: `github.com:\n    oauth_token: ${phantom}\n    user: ${userAt('github.com') ?? 'x-access-token'}\n    git_protocol: https\n`,
        },
      ];
}

/** A token belongs to a registry by its address without the scheme. Hosts that take a password are none. */
function npmrc({ phantom, sites, userAt }: Placed): Lines {
  return sites
    .filter(
      ({ host }) => userAt(host) === undefined && !/^(?:api|uploads)\.github\.com$|githubusercontent\.com$|^ghcr\.io$/.test(host),
    )
    .map((site) => ({ path: '.npmrc', text: `//${authorityOf(site)}/:_authToken=${phantom}\n` }));
}

/** pip, curl -n, wget and Python's requests read it. */
function netrc({ phantom, sites, userAt }: Placed): Lines {
  return [...new Set(sites.map(({ host }) => host))].flatMap((host) => {
    const user = userAt(host);
    return user === undefined || user === '' || /\s/.test(user)
      ? []
      : [{ path: '.netrc', text: `machine ${host} login ${user} password ${phantom}\n` }];
  });
}

/** For uploads: the first host bound to the credential is the repository of the name `pypi`. */
function pypirc({ phantom, sites }: Placed): Lines {
  return sites.length === 0
    ? []
    : [{ path: '.pypirc', text: `[distutils]\nindex-servers = pypi\n\n[pypi]\nusername = __token__\npassword = ${phantom}\n` }];
}

function originOf(site: Site): string {
  return `https://${authorityOf(site)}`;
}

function authorityOf({ host, port }: Site): string {
  return port === 443 ? host : `${host}:${port}`;
}
