/** What is to go wrong, as the harness tells it to the process it goes wrong in. */
export interface FaultPlan {
  /** `start`: from its first moment; default: from the harness's signal on */
  readonly from?: 'start' | undefined;
  /** the number of the point, from 1 */
  readonly at: number;
  /** with each later point, too */
  readonly lasting?: boolean | undefined;
  /** a part of the label that the point must have */
  readonly only?: string | undefined;
  readonly act: FaultAct;
  /** of `fill`: takes all the room there is */
  readonly file?: string | undefined;
  /** of `clock` */
  readonly byMs?: number | undefined;
  /** of `kill`: who is killed with it at the same moment */
  readonly with?: readonly ('daemon' | 'caller')[] | undefined;
}

/**
 * `kill`: dies before the point; `tear`: dies in the middle of it; `fail`: the point meets an error; `fill`: the disk is full
 * from then on; `clock`: its wall clock jumps.
 */
export type FaultAct = 'kill' | 'tear' | 'fail' | 'fill' | 'clock';
