/** Decides what the stand-in model does next, as a pure function of the results of its earlier actions. Knows no wire format. */

export type Action =
  | { readonly kind: 'run'; readonly command: string; readonly about: string }
  | { readonly kind: 'read'; readonly path: string }
  | { readonly kind: 'edit'; readonly path: string; readonly before: string; readonly after: string }
  /** a tool by the name under which its agent offers it, such as one of an MCP server */
  | { readonly kind: 'tool'; readonly name: string; readonly input: Readonly<Record<string, unknown>> };

/** What the agent's tool answered. */
export interface Outcome {
  readonly failed: boolean;
  readonly text: string;
}

export interface Turn {
  readonly say: string;
  /** `undefined`: the model is done */
  readonly act: Action | undefined;
}

/** `outcomes` holds one entry for each action so far, in order. */
export type Script = (outcomes: readonly Outcome[]) => Turn;
