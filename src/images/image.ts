/** Images: root file systems by digest, with a lock of every input. Shapes shared by recipe, build, store and verify. */

export interface Recipe {
  readonly name: string;
  /** recipe this one adds to; `undefined`: starts from Debian */
  readonly from: string | undefined;
  readonly debian: { readonly suite: string; readonly packages: readonly string[] } | undefined;
  readonly npm: readonly NpmPackage[];
  /** small files of the image, by absolute path */
  readonly files: readonly { readonly path: string; readonly content: string; readonly mode: number }[];
  /** links in `/usr/local/bin`, by name, to absolute paths */
  readonly bin: Readonly<Record<string, string>>;
  /** commands that must succeed inside the finished image, with the text their output must contain */
  readonly checks: readonly { readonly command: readonly string[]; readonly contains: string }[];
}

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** Subresource integrity of the tarball per platform package, `sha512-…` */
  readonly integrity: string;
}

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
  /** The image built last for a recipe; `undefined` when there is none. Throws `IMAGE_CORRUPT`. */
  readonly find: (recipe: string) => Promise<ImageRecord | undefined>;
  readonly list: () => Promise<readonly ImageRecord[]>;
}
