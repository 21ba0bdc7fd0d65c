import type { MeasuredSurface } from '../../proof/surface/measured.ts';
import type { PublishedSurface } from '../../proof/surface/published.ts';

/** How much of the kernel a sandbox can reach, published and measured, by runtime. */
export interface SurfaceReport {
  readonly machine: string;
  readonly kernel: string;
  readonly published: PublishedSurface;
  readonly runtimes: readonly RuntimeSurface[];
}

export interface RuntimeSurface {
  readonly runtime: string;
  /** what it says of itself; empty where it is not installed */
  readonly version: string;
  readonly measured?: MeasuredSurface | undefined;
  /** reached, and not published */
  readonly beyond?: readonly string[] | undefined;
  /** why nothing was measured */
  readonly missing?: string | undefined;
}
