export type LayerKind = 'organisation' | 'user' | 'project' | 'command line' | 'preset' | 'default';

/** Where a value was written. `line` and `column` start at 1 and are absent for presets, defaults and options. */
export interface Origin {
  readonly layer: LayerKind;
  /** absolute path of the file, or the name of the preset, default or option */
  readonly source: string;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}
