/** Images: root file systems by digest, with a lock of every input. Shapes shared by recipe, build, store and verify. */

/** A recipe for one platform: pure data, nothing in it depends on the machine that reads it. */
export interface Recipe {
  readonly name: string;
  /** recipe this one adds to; `undefined`: starts from Debian */
  readonly from: string | undefined;
  readonly debian: { readonly suite: string; readonly packages: readonly string[] } | undefined;
  readonly npm: readonly NpmPackage[];
  /** for the `python3` of Debian, all that they need among them; absent: none */
  readonly python?: readonly PythonPackage[] | undefined;
  /** small files of the image, by absolute path */
  readonly files: readonly RecipeFile[];
  /** links in `/usr/local/bin`, by name, to absolute paths */
  readonly bin: Readonly<Record<string, string>>;
  /** commands that must succeed inside the finished image, with the text their output must contain */
  readonly checks: readonly { readonly command: readonly string[]; readonly contains: string }[];
}

export interface RecipeFile {
  readonly path: string;
  readonly content: string;
  /** permission bits, without set-id bits */
  readonly mode: number;
}

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** Subresource integrity of the tarball, `sha512-…` */
  readonly integrity: string;
  /** folder below `/usr/local/lib/node_modules`, where it is not the name */
  readonly folder?: string | undefined;
}

/** A wheel: nothing of it runs when it is unpacked. */
export interface PythonPackage {
  readonly name: string;
  readonly version: string;
  /** of the wheel for the image's platform, hex */
  readonly sha256: string;
}

/** A recipe and all it adds to, Debian first; never empty. */
export type RecipeChain = readonly [Recipe, ...Recipe[]];

export interface ImageRecord {
  /** `sha256:<hex>` over the canonical list of all files */
  readonly digest: string;
  readonly recipe: string;
  readonly createdAt: string;
  /** absolute path of the root file system */
  readonly rootfs: string;
  readonly bytes: number;
  readonly lockDigest: string;
}

export interface ImageStore {
  /** The image built last from the present content of a recipe; `undefined` when there is none. Throws `IMAGE_CORRUPT`. */
  readonly find: (recipe: string) => Promise<ImageRecord | undefined>;
  readonly list: () => Promise<readonly ImageRecord[]>;
}

/** Told one line for each step of a build. */
export type Progress = (line: string) => void;

/** One line of `image verify`. */
export interface VerifyRow {
  readonly check: string;
  readonly verdict: 'pass' | 'fail' | 'skipped';
  readonly detail: string;
}

/** The one user of every image. */
export const agentUser = { name: 'agent', uid: 1000, gid: 1000, home: '/home/agent', shell: '/bin/bash' } as const;
