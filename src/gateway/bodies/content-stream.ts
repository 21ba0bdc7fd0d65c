import { Readable } from 'node:stream';

/** The content of an answer as a stream. If all of it has arrived before anyone read it, it can be taken at once. */
export interface BodySource {
  /** asks for more, after `add` said that it is full */
  readonly more: () => void;
  /** nobody wants the rest */
  readonly left: () => void;
}

export class ContentStream extends Readable {
  readonly #source: BodySource;
  #only: Buffer | undefined;
  #pieces = 0;
  #isRead = false;
  #isFinished = false;

  constructor(source: BodySource) {
    super();
    this.#source = source;
    // A break is seen by whoever reads; where nobody does, it must not end the process.
    this.on('error', () => undefined);
  }

  /** False: it is full. */
  add(piece: Buffer): boolean {
    this.#pieces += 1;
    this.#only = this.#pieces === 1 ? piece : undefined;
    return this.push(piece);
  }

  finish(): void {
    this.#isFinished = true;
    this.push(null);
  }

  /** A turn later: whoever is just being given the answer is to see both what came and that it broke. */
  breakOff(): void {
    setImmediate(() => this.destroy(new Error('the answer was cut')));
  }

  /** All of it, where it is there and nobody has begun to read; then nothing comes any more. */
  takeWhole(): Buffer | undefined {
    if (!this.#isFinished || this.#pieces > 1 || this.#isRead || this.destroyed || this.readableDidRead) {
      return undefined;
    }
    this.#isRead = true;
    const whole = this.#only ?? Buffer.alloc(0);
    this.destroy();
    return whole;
  }

  override _read(): void {
    this.#source.more();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#source.left();
    done(error);
  }
}
