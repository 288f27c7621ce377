import type { ToWorker } from '../cluster/ports.ts';
import { invalid } from '../lib/errors.ts';
import type { FromMaster } from './session-codec.ts';

/** Puts together what comes in parts: an Assign with a large body. */
export class BodyReceiver {
  #complete: ((body: Uint8Array) => ToWorker) | null = null;
  #body = new Uint8Array();
  #length = 0;

  /**
   * @returns the message that is whole now; null: parts of it are still to come
   * @throws CodedError INVALID_INPUT when something else comes than what must
   */
  take(from: FromMaster): ToWorker | null {
    switch (from.type) {
      case 'head':
        if (this.#complete !== null) throw this.#missing('assign');
        this.#complete = from.complete;
        this.#body = new Uint8Array(from.bodyBytes);
        this.#length = 0;
        return null;
      case 'part':
        return this.#add(from.data);
      case 'message':
        if (this.#complete !== null && from.message.type !== 'heartbeat') throw this.#missing(from.message.type);
        return from.message;
    }
  }

  #add(data: Uint8Array): ToWorker | null {
    if (this.#complete === null || this.#length + data.length > this.#body.length) {
      const left = this.#complete === null ? 0 : this.#body.length - this.#length;
      throw invalid(`body_part: expected at most ${left} bytes more, found ${data.length}`);
    }
    this.#body.set(data, this.#length);
    this.#length += data.length;
    if (this.#length < this.#body.length) return null;
    const message = this.#complete(this.#body);
    this.#complete = null;
    this.#body = new Uint8Array();
    return message;
  }

  #missing(found: string): Error {
    return invalid(`body_part: expected ${this.#body.length - this.#length} bytes more, found ${found}`);
  }
}
