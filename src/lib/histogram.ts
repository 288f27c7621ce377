/**
 * A log-linear histogram of durations in microseconds: 512 buckets an octave, so a bucket is at most 1/512 of its
 * lower edge wide and its middle is within 0.1 % of every value in it. Merging adds counts and is exact.
 *
 * The bucket of a value is read straight off its IEEE 754 form: the exponent and the top 9 bits of the mantissa.
 * Range: 0.125 µs to 2^33 µs (2.4 hours); what is below counts as 0, what is above as the last bucket.
 * `min`, `max` and `sum` are kept exactly, in nanoseconds.
 */
const SUB_BITS = 9;
const SHIFT = 20 - SUB_BITS;
const MIN_EXPONENT = -3;
const MAX_EXPONENT = 33;
const BIAS = 1023;
const FIRST = (BIAS + MIN_EXPONENT) << SUB_BITS;
const BUCKETS = ((MAX_EXPONENT - MIN_EXPONENT) << SUB_BITS) + 1;
const LOWEST_US = 2 ** MIN_EXPONENT;
const FORMAT_VERSION = 1;

const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);
const HIGH = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;

function bucketOf(valueUs: number): number {
  if (!(valueUs >= LOWEST_US)) return 0;
  float[0] = valueUs;
  const index = (words[HIGH]! >>> SHIFT) - FIRST + 1;
  return index < BUCKETS ? index : BUCKETS - 1;
}

function lowerEdgeUs(index: number): number {
  if (index === 0) return 0;
  words[HIGH] = (index - 1 + FIRST) << SHIFT;
  words[1 - HIGH] = 0;
  return float[0]!;
}

export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #low = BUCKETS;
  #high = -1;
  #count = 0;
  #sumNs = 0;
  #minUs = Infinity;
  #maxUs = 0;

  /** Number of recorded values. */
  get count(): number {
    return this.#count;
  }
  /** Smallest recorded value, µs; 0 when empty. */
  get minUs(): number {
    return this.#count === 0 ? 0 : this.#minUs;
  }
  /** Largest recorded value, µs; 0 when empty. */
  get maxUs(): number {
    return this.#maxUs;
  }
  /** Arithmetic mean, µs (from the exact sum); 0 when empty. */
  get meanUs(): number {
    return this.#count === 0 ? 0 : this.#sumNs / 1e3 / this.#count;
  }

  /** Records a value (µs, fractions welcome; negative counts as 0) `times` times. */
  record(valueUs: number, times = 1): void {
    const ns = valueUs > 0 ? Math.round(valueUs * 1e3) : 0;
    const value = ns / 1e3;
    const index = bucketOf(value);
    this.#counts[index]! += times;
    if (index < this.#low) this.#low = index;
    if (index > this.#high) this.#high = index;
    this.#count += times;
    this.#sumNs += ns * times;
    if (value < this.#minUs) this.#minUs = value;
    if (value > this.#maxUs) this.#maxUs = value;
  }

  /** Adds all values of another histogram; the result is the histogram of the union. */
  merge(other: Histogram): void {
    for (let i = other.#low; i <= other.#high; i++) this.#counts[i]! += other.#counts[i]!;
    this.#low = Math.min(this.#low, other.#low);
    this.#high = Math.max(this.#high, other.#high);
    this.#count += other.#count;
    this.#sumNs += other.#sumNs;
    this.#minUs = Math.min(this.#minUs, other.#minUs);
    this.#maxUs = Math.max(this.#maxUs, other.#maxUs);
  }

  /** Value (µs) at the 1-based rank, 1 ≤ rank ≤ count: the middle of its bucket, kept within min and max. */
  valueAtRank(rank: number): number {
    if (rank >= this.#count) return this.#maxUs;
    let seen = 0;
    for (let i = this.#low; i <= this.#high; i++) {
      seen += this.#counts[i]!;
      if (seen >= rank) return this.#middle(i);
    }
    return this.#maxUs;
  }

  /** Value (µs) that `percent` (0 to 100) of the values do not exceed, by the nearest-rank rule; 0 when empty. */
  percentile(percent: number): number {
    if (this.#count === 0) return 0;
    return this.valueAtRank(rankOf(percent, this.#count));
  }

  /** Standard deviation of the population, µs, from the buckets' middles. */
  get stddevUs(): number {
    if (this.#count === 0) return 0;
    const mean = this.meanUs;
    let squares = 0;
    for (let i = this.#low; i <= this.#high; i++) {
      const n = this.#counts[i]!;
      if (n > 0) squares += n * (this.#middle(i) - mean) ** 2;
    }
    return Math.sqrt(squares / this.#count);
  }

  /** Number of values in buckets that end at or below the given value (µs). */
  countAtMost(valueUs: number): number {
    let seen = 0;
    const last = Math.min(bucketOf(valueUs), this.#high);
    for (let i = this.#low; i <= last; i++) seen += this.#counts[i]!;
    return seen;
  }

  reset(): void {
    if (this.#high >= 0) this.#counts.fill(0, this.#low, this.#high + 1);
    this.#low = BUCKETS;
    this.#high = -1;
    this.#count = 0;
    this.#sumNs = 0;
    this.#minUs = Infinity;
    this.#maxUs = 0;
  }

  #middle(index: number): number {
    const low = lowerEdgeUs(index);
    const high = lowerEdgeUs(index + 1);
    return Math.min(Math.max((low + high) / 2, this.#minUs), this.#maxUs);
  }

  /**
   * Compact form: version, count of entries, sum, min, max (nanoseconds), then per used bucket the distance to the
   * previous one and its count; all LEB128 varints. An empty histogram is 5 bytes.
   */
  encode(): Uint8Array {
    const writer = new VarintWriter();
    let used = 0;
    for (let i = this.#low; i <= this.#high; i++) if (this.#counts[i]! > 0) used++;
    writer.write(FORMAT_VERSION);
    writer.write(used);
    writer.write(this.#sumNs);
    writer.write(Math.round(this.minUs * 1e3));
    writer.write(Math.round(this.#maxUs * 1e3));
    let previous = 0;
    for (let i = this.#low; i <= this.#high; i++) {
      const n = this.#counts[i]!;
      if (n === 0) continue;
      writer.write(i - previous);
      writer.write(n);
      previous = i;
    }
    return writer.bytes();
  }

  /** Adds what `encode` wrote. @throws RangeError when the bytes are not such a form */
  mergeEncoded(bytes: Uint8Array): void {
    const reader = new VarintReader(bytes);
    const version = reader.read();
    if (version !== FORMAT_VERSION) throw new RangeError(`histogram: expected format 1, found ${version}`);
    const used = reader.read();
    const sumNs = reader.read();
    const minUs = reader.read() / 1e3;
    const maxUs = reader.read() / 1e3;
    let index = 0;
    for (let entry = 0; entry < used; entry++) {
      index += reader.read();
      if (index >= BUCKETS) throw new RangeError(`histogram: bucket ${index} is out of range`);
      const n = reader.read();
      this.#counts[index]! += n;
      this.#count += n;
      if (index < this.#low) this.#low = index;
      if (index > this.#high) this.#high = index;
    }
    if (used === 0) return;
    this.#sumNs += sumNs;
    this.#minUs = Math.min(this.#minUs, minUs);
    this.#maxUs = Math.max(this.#maxUs, maxUs);
  }

  static decode(bytes: Uint8Array): Histogram {
    const histogram = new Histogram();
    histogram.mergeEncoded(bytes);
    return histogram;
  }
}

/** The nearest rank (1-based) of a percentile among `count` values. */
export function rankOf(percent: number, count: number): number {
  // The tiny term keeps 99.9 % of 1000 at rank 999: 0.999 * 1000 is a little above 999 in floating point.
  return Math.min(count, Math.max(1, Math.ceil((percent / 100) * count - 1e-9 * count)));
}

class VarintWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  write(value: number): void {
    if (this.#length + 10 > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}

class VarintReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined || scale > 2 ** 56) throw new RangeError('histogram: truncated or malformed bytes');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }
}
