/**
 * Says once that something is over. It is a light stand-in for `AbortController` with the parts of it that we use: every request
 * and connection makes one, and the real one costs several times as much time and memory.
 */
export interface StopSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  /** Called at most once, in the order in which they were added; none that is added afterwards. */
  readonly addEventListener: (type: 'abort', listener: () => void, options?: { readonly once: boolean }) => void;
  readonly removeEventListener: (type: 'abort', listener: () => void) => void;
}

export interface Stop {
  readonly signal: StopSignal;
  readonly abort: (reason?: unknown) => void;
}

export function createStop(): Stop {
  const signal = new Signal();
  return { signal, abort: (reason) => signal.give(reason) };
}

class Signal implements StopSignal {
  aborted = false;
  reason: unknown = undefined;
  #listeners: (() => void)[] = [];

  addEventListener(_type: 'abort', listener: () => void): void {
    if (!this.aborted && !this.#listeners.includes(listener)) {
      this.#listeners.push(listener);
    }
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.#listeners.indexOf(listener);
    if (at !== -1) {
      this.#listeners.splice(at, 1);
    }
  }

  give(reason: unknown): void {
    if (this.aborted) {
      return;
    }
    this.aborted = true;
    this.reason = reason;
    // Who is told may take another one off the list.
    for (let listener = this.#listeners.shift(); listener !== undefined; listener = this.#listeners.shift()) {
      listener();
    }
  }
}
