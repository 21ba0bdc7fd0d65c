import type { TokenPost } from './token-request.ts';
import type { SealedStore } from '../sealed/sealed-store.ts';
import type { Clock } from '../../system/clock.ts';

/** The options for making a login keeper. */
export interface LoginKeeperOptions {
  readonly store: Pick<SealedStore, 'get' | 'put' | 'remove' | 'list'>;
  readonly post: TokenPost;
  readonly clock?: Clock | undefined;
  /** 0 up to 1: spreads the renewals of many installations */
  readonly random?: (() => number) | undefined;
  /** one line about what happened to a login, without any secret */
  readonly onEvent?: ((event: LoginEvent) => Promise<void>) | undefined;
}

/** What it tells of. */
export interface LoginEvent {
  readonly agent: string;
  readonly outcome: 'renewed' | 'stopped' | 'put-off';
  readonly why: string;
}
