import { CodedError } from './errors.ts';
import { show } from './show.ts';

const SIZE = /^(\d+(?:\.\d+)?) ?(|b|kb|mb|gb|kib|mib|gib)$/i;
const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/**
 * Bytes of a size like `10240`, `10KB` (1000 each) or `10KiB` (1024 each); also MB, MiB, GB, GiB, in upper or lower case.
 *
 * @throws CodedError INVALID_INPUT when it is not a size, or not a whole number of bytes
 */
export function parseSize(text: string): number {
  const [, number, unit] = SIZE.exec(text) ?? [];
  const bytes = Number(number) * (UNIT_BYTES[unit?.toLowerCase() ?? ''] ?? NaN);
  if (!Number.isSafeInteger(bytes)) {
    throw new CodedError(
      'INVALID_INPUT',
      `expected a size in bytes like 10240, "10KB" or "10KiB", found ${show(text)}`,
    );
  }
  return bytes;
}
