import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeSample, encodeSample, sampleDigest } from '../../src/task/sample-codec.ts';
import { arbitrarySample, healthySecond, sampleOf } from '../support/samples.ts';

describe('a sample in bytes', () => {
  test('is read back as it was, whatever is in it', () => {
    fc.assert(
      fc.property(arbitrarySample(7), (sample) => {
        expect(decodeSample(encodeSample(sample))).toEqual(sample);
      }),
      { numRuns: 300 },
    );
  });

  test('of an ordinary second has less than 1 KiB, and of an empty one less than 200 bytes', () => {
    expect(encodeSample(healthySecond(3, 1_000, 2_000)).length).toBeLessThan(1_024);
    expect(encodeSample(sampleOf({ second: 3 })).length).toBeLessThan(200);
  });

  test('has a digest of 16 bytes that another sample has not', () => {
    const bytes = encodeSample(healthySecond(3, 1_000, 2_000));
    expect(sampleDigest(bytes)).toHaveLength(16);
    expect(sampleDigest(bytes)).toEqual(sampleDigest(Uint8Array.from(bytes)));
    expect(sampleDigest(encodeSample(healthySecond(3, 1_001, 2_000)))).not.toEqual(sampleDigest(bytes));
  });

  test('is refused when a part is missing, at whatever byte it was cut', () => {
    const bytes = encodeSample(healthySecond(3, 1_000, 2_000));
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeSample(bytes.subarray(0, length)), `${length} bytes`).toThrow(RangeError);
    }
  });

  test('of garbage is a RangeError, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (garbage, begins) => {
        const bytes = begins ? Buffer.concat([encodeSample(sampleOf({})).subarray(0, 60), garbage]) : garbage;
        expect(() => decodeSample(bytes)).toThrow(RangeError);
      }),
    );
  });

  const withHead = (head: unknown): Buffer => {
    const json = Buffer.from(JSON.stringify(head));
    const start = Buffer.from([1, 0, 0, 0, 0]);
    start.writeUInt32BE(json.length, 1);
    return Buffer.concat([start, json]);
  };

  test.each([
    ['another version', Buffer.from([2, 0, 0, 0, 0]), 'found version 2'],
    ['a list as head', withHead([]), 'found a head that is no map'],
    ['a text as count', withHead({ counts: { ok: '5' } }), 'found "5" as sample.counts.ok'],
    [
      'a number as example',
      withHead({ errors: { dns: { count: 1, examples: [5] } } }),
      'no texts as sample.errors.dns.examples',
    ],
    [
      'a histogram of more bytes than there are',
      withHead({ histograms: { dns: 5 } }),
      'found 0 bytes for the histogram dns of 5',
    ],
    ['bytes at the end', Buffer.concat([encodeSample(sampleOf({})), Buffer.from([0])]), 'found 1 bytes after its end'],
  ])('says what is wrong: %s', (_, bytes, message) => {
    expect(() => decodeSample(bytes)).toThrow(message);
  });
});
