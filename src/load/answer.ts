import { KeptBody } from './body.ts';
import type { Answer } from './client.ts';

/** The answer at hand; its body is decoded when someone looks at it, and is good until the next exchange. */
export class ReusedAnswer implements Answer {
  readonly #kept: KeptBody | null;
  status = 0;
  bodyBytes = 0;

  constructor(maxBodyBytes: number | null) {
    this.#kept = maxBodyBytes === null ? null : new KeptBody(maxBodyBytes);
  }

  /** @param contentEncoding value of the header; null: none */
  start(status: number, contentEncoding: string | null): void {
    this.status = status;
    this.bodyBytes = 0;
    this.#kept?.start(contentEncoding);
  }

  /** Takes on the bytes `from` to `to` as the next of the body. */
  append(bytes: Uint8Array, from: number, to: number): void {
    this.bodyBytes += to - from;
    this.#kept?.append(bytes.subarray(from, to));
  }

  get body(): Uint8Array | null {
    return this.#kept?.decoded() ?? null;
  }
}
