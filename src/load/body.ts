import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib';

const FIRST_BYTES = 16 * 1024;
/** A larger buffer is given back after its answer, so that many idle connections do not hold much memory. */
const MAX_IDLE_BYTES = 64 * 1024;
/** More codings than this on top of each other are not undone. */
const MAX_CODINGS = 4;

type Decoder = (input: Uint8Array, options: { maxOutputLength: number }) => Buffer;

/** Content codings of RFC 9110 section 8.4.1 and RFC 8878; `identity` and unknown ones are left as they are. */
const DECODERS: Readonly<Record<string, Decoder>> = {
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  deflate: inflateAnyDeflate,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
};

/** Keeps the body of one answer at a time, up to a limit, in a buffer that is used again for the next. */
export class KeptBody {
  readonly #maxBytes: number;
  #buffer: Buffer | null = null;
  #length = 0;
  #cut = false;
  #codings: string | null = null;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Forgets the former body. @param contentEncoding value of the header; null: none */
  start(contentEncoding: string | null): void {
    this.#length = 0;
    this.#cut = false;
    this.#codings = contentEncoding;
    if (this.#buffer !== null && this.#buffer.length > MAX_IDLE_BYTES) this.#buffer = null;
  }

  append(chunk: Uint8Array): void {
    const taken = Math.min(chunk.length, this.#maxBytes - this.#length);
    if (taken < chunk.length) this.#cut = true;
    if (taken === 0) return;
    const buffer = this.#room(this.#length + taken);
    buffer.set(taken === chunk.length ? chunk : chunk.subarray(0, taken), this.#length);
    this.#length += taken;
  }

  /**
   * The body, decoded; valid until the next `start`. Longer ones are cut at the limit. null: it is coded, and the
   * coding is broken, or one of its forms is longer than the limit.
   */
  decoded(): Uint8Array | null {
    const raw = this.#buffer?.subarray(0, this.#length) ?? new Uint8Array(0);
    const decoders = this.#decoders();
    if (decoders.length === 0 || raw.length === 0) return raw;
    if (this.#cut || decoders.length > MAX_CODINGS) return null;
    try {
      return decoders.reduceRight<Uint8Array>((body, decode) => decode(body, { maxOutputLength: this.#maxBytes }), raw);
    } catch {
      return null;
    }
  }

  #decoders(): Decoder[] {
    if (this.#codings === null) return [];
    const names = this.#codings.split(',').map((name) => name.trim().toLowerCase());
    return names.flatMap((name) => (Object.hasOwn(DECODERS, name) ? [DECODERS[name]!] : []));
  }

  #room(bytes: number): Buffer {
    if (this.#buffer !== null && bytes <= this.#buffer.length) return this.#buffer;
    let size = Math.max(FIRST_BYTES, this.#buffer?.length ?? 0);
    while (size < bytes) size *= 2;
    const grown = Buffer.allocUnsafeSlow(Math.min(size, this.#maxBytes));
    if (this.#buffer !== null) grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
    return grown;
  }
}

/** `deflate` means the zlib format (RFC 1950), but some servers send the bare stream (RFC 1951). */
function inflateAnyDeflate(input: Uint8Array, options: { maxOutputLength: number }): Buffer {
  const isZlib = (input[0]! & 0x0f) === 8;
  return isZlib ? inflateSync(input, options) : inflateRawSync(input, options);
}
