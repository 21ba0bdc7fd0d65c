import type { BoundCredential } from '../credentials/credential.ts';
import type { Learning } from '../policy/proposing/learning.ts';
import type { Asks, NetworkRule } from '../policy/policy.ts';
import type { Ingress } from '../system/ingress.ts';
import type { Probe, ProbeAnswer } from './exchange/probe.ts';
import type { BudgetState } from './guards/budgets.ts';
import type { Guarding } from './guards/guarding.ts';
import type { LocalNames } from './local-names.ts';
import type { Ruling } from './rule-book.ts';

/** The only way out of every sandbox, as the rest of the program sees it. */

export interface GatewaySandbox {
  readonly id: string;
  readonly name: string;
  /** another sandbox whose budgets it uses up; absent: it has its own */
  readonly countedWith?: string | undefined;
  /** name of the server that it is for, told in each of its records; absent: it is for none */
  readonly server?: string | undefined;
  readonly policyHash: string;
  readonly rules: readonly NetworkRule[];
  /** it is learned from: what is not carried out is answered as if it were */
  readonly learn?: LearnSetting | undefined;
  /** whether a person may be asked about what the rules deny; `undefined`: never */
  readonly asks?: AskSetting | undefined;
  /** by the name that rules use */
  readonly credentials: ReadonlyMap<string, BoundCredential>;
  /** private key and certificate of the authority this sandbox trusts, PEM */
  readonly authority: Authority;
  /** names that lead to something of the sandbox's own; absent: none */
  readonly local?: LocalNames | undefined;
  /** absent: rules alone decide */
  readonly guarding?: Guarding | undefined;
}

export interface LearnSetting {
  readonly setting: Learning;
  /** rules of the organisation, beyond which nothing goes out */
  readonly bound: readonly NetworkRule[] | undefined;
}

export interface AskSetting {
  readonly settings: Asks;
  /** rules that no answer exceeds */
  readonly bound: readonly NetworkRule[] | undefined;
  /** denied for the sandbox's life, by `refusalKey` */
  readonly refused: readonly string[];
}

/** A certificate authority for one sandbox; its key never leaves the gateway and its state folder. */
export interface Authority {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

export interface Gateway {
  /** Takes the ingress over. From now on every connection of this sandbox is decided, recorded and answered. */
  readonly attach: (sandbox: GatewaySandbox, ingress: Ingress) => void;
  /** Closes the ingress and every open exchange of the sandbox. Idempotent. */
  readonly detach: (sandboxId: string) => Promise<void>;
  /**
   * Puts other rules in force for one sandbox. They hold for every request from now on; tunnels and exchanges under way
   * that they do not allow are cut before this returns. `undefined`: no such sandbox is attached.
   */
  readonly update: (sandboxId: string, ruling: Ruling) => GatewayUpdate | undefined;
  /** Cuts at once all that is under way with a credential, open streams included; returns how much that was. */
  readonly cutCredential: (name: string, options?: { readonly sandboxId?: string | undefined }) => number;
  /** One call of the host's own with a credential. */
  readonly probe: (probe: Probe) => Promise<ProbeAnswer>;
  readonly usage: (sandboxId: string) => GatewayUsage | undefined;
  readonly close: () => Promise<void>;
}

export interface GatewayUpdate {
  /** how many open tunnels and exchanges were cut */
  readonly cut: number;
}

export interface GatewayUsage {
  readonly openConnections: number;
  readonly allowed: number;
  readonly denied: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly budgets: readonly BudgetState[];
}
