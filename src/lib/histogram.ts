/**
 * A log-linear histogram of durations in microseconds: 512 buckets an octave, so a bucket is at most 1/512 of its
 * lower edge wide and its middle is within 0.1 % of every value in it. Merging adds counts and is exact.
 *
 * The bucket of a value is read straight off its IEEE 754 form: the exponent and the top 9 bits of the mantissa.
 * Range: 0.125 µs to 2^33 µs (2.4 hours); what is below is all one bucket, what is above is in the last one.
 * `min`, `max` and `sum` are kept in nanoseconds, exactly up to 2^53 (a sum of 104 days), then as a double has it.
 */
const SUB_BITS = 9;
const SHIFT = 20 - SUB_BITS;
const MIN_EXPONENT = -3;
const MAX_EXPONENT = 33;
const BIAS = 1023;
const FIRST = (BIAS + MIN_EXPONENT) << SUB_BITS;
const BUCKETS = ((MAX_EXPONENT - MIN_EXPONENT) << SUB_BITS) + 1;
const LOWEST_US = 2 ** MIN_EXPONENT;
/** The largest value that is told apart from larger ones: 104 days. */
const MAX_US = Number.MAX_SAFE_INTEGER / 1e3;
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
  /** In an array, which holds doubles from the start: V8 throws compiled code away when a field outgrows a small integer. */
  readonly #sumNs = new Float64Array(1);
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
    return this.#count === 0 ? 0 : this.#sumNs[0]! / 1e3 / this.#count;
  }

  /** Records a value (µs, fractions welcome; negative and NaN count as 0, at most MAX_US) `times` (≥ 1) times. */
  record(valueUs: number, times = 1): void {
    const ns = valueUs > 0 ? Math.round(Math.min(valueUs, MAX_US) * 1e3) : 0;
    const value = ns / 1e3;
    const index = bucketOf(value);
    this.#counts[index]! += times;
    if (index < this.#low) this.#low = index;
    if (index > this.#high) this.#high = index;
    this.#count += times;
    this.#sumNs[0]! += ns * times;
    if (value < this.#minUs) this.#minUs = value;
    if (value > this.#maxUs) this.#maxUs = value;
  }

  /** Adds all values of another histogram; the result is the histogram of the union. */
  merge(other: Histogram): void {
    for (let i = other.#low; i <= other.#high; i++) this.#counts[i]! += other.#counts[i]!;
    this.#low = Math.min(this.#low, other.#low);
    this.#high = Math.max(this.#high, other.#high);
    this.#count += other.#count;
    this.#sumNs[0]! += other.#sumNs[0]!;
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

  /** Number of values that do not exceed the given one (µs), to the width of its bucket: all in there are counted. */
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
    this.#sumNs[0] = 0;
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
    writer.write(this.#sumNs[0]!);
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

  /** Adds what `encode` wrote. @throws RangeError when the bytes are not such a form; then nothing was added */
  mergeEncoded(bytes: Uint8Array): void {
    const { used, sumNs, minNs, maxNs } = parse(bytes);
    if (used === 0) return;
    for (let entry = 0; entry < used; entry++) {
      this.#counts[parsedIndexes[entry]!]! += parsedCounts[entry]!;
      this.#count += parsedCounts[entry]!;
    }
    this.#low = Math.min(this.#low, parsedIndexes[0]!);
    this.#high = Math.max(this.#high, parsedIndexes[used - 1]!);
    this.#sumNs[0]! += sumNs;
    this.#minUs = Math.min(this.#minUs, minNs / 1e3);
    this.#maxUs = Math.max(this.#maxUs, maxNs / 1e3);
  }

  /** @throws RangeError when the bytes are no encoded histogram */
  static check(bytes: Uint8Array): void {
    parse(bytes);
  }

  static decode(bytes: Uint8Array): Histogram {
    const histogram = new Histogram();
    histogram.mergeEncoded(bytes);
    return histogram;
  }
}

/**
 * The nearest rank (1-based) of a percentile among `count` values: the smallest rank that is at least `percent` % of
 * `count`. Percents have at most six decimals. In integers, because 0.999 * 1000 is a little above 999 in a double.
 */
export function rankOf(percent: number, count: number): number {
  const WHOLE = 100_000_000n;
  const part = BigInt(Math.round(percent * 1e6)) * BigInt(count);
  return Math.min(count, Math.max(1, Number((part + WHOLE - 1n) / WHOLE)));
}

/** The entries that `parse` found last, in the order of the buckets; kept, since a master merges thousands a second. */
const parsedIndexes = new Uint16Array(BUCKETS);
const parsedCounts = new Float64Array(BUCKETS);

function parse(bytes: Uint8Array): { used: number; sumNs: number; minNs: number; maxNs: number } {
  const reader = new VarintReader(bytes);
  const version = reader.read();
  if (version !== FORMAT_VERSION) throw malformed(`expected format ${FORMAT_VERSION}, found ${version}`);
  const used = reader.read();
  const sumNs = reader.read();
  const minNs = reader.read();
  const maxNs = reader.read();
  let index = 0;
  for (let entry = 0; entry < used; entry++) {
    const step = reader.read();
    if (step === 0 && entry > 0) throw malformed(`bucket ${index} comes twice`);
    index += step;
    if (index >= BUCKETS) throw malformed(`expected a bucket below ${BUCKETS}, found ${index}`);
    const n = reader.read();
    if (n === 0) throw malformed(`bucket ${index} is empty`);
    parsedIndexes[entry] = index;
    parsedCounts[entry] = n;
  }
  if (!reader.done) throw malformed('bytes are left over');
  const first = used === 0 ? 0 : parsedIndexes[0]!;
  if (bucketOf(minNs / 1e3) !== first || bucketOf(maxNs / 1e3) !== index || minNs > maxNs) {
    throw malformed('minimum and maximum do not fit the buckets');
  }
  return { used, sumNs, minNs, maxNs };
}

function malformed(found: string): RangeError {
  return new RangeError(`histogram: ${found}`);
}

/** Enough for 2^112, and so for the sum of 2^53 values of 2^53 ns. */
const MAX_VARINT_BYTES = 16;

class VarintWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  write(value: number): void {
    if (this.#length + MAX_VARINT_BYTES > this.#bytes.length) {
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

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  read(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw malformed('the bytes end too early');
      if (scale > 2 ** (7 * (MAX_VARINT_BYTES - 1)))
        throw malformed(`a number has more than ${MAX_VARINT_BYTES} bytes`);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }
}
