/**
 * Splits an integer total into integer shares in proportion to the weights; the shares add up to the total.
 * Largest remainder method; ties go to the earlier member, so the result depends on nothing but the arguments.
 *
 * @param total a non-negative safe integer
 * @param weights one non-negative finite number per member, not all zero (unless the total is 0)
 * @throws RangeError when an argument is outside of that
 */
export function split(total: number, weights: readonly number[]): number[] {
  if (!Number.isSafeInteger(total) || total < 0) {
    throw new RangeError(`split: expected a non-negative integer total, found ${total}`);
  }
  if (weights.some((weight) => !(weight >= 0 && weight < Infinity))) {
    throw new RangeError(`split: expected non-negative finite weights, found [${weights.join(', ')}]`);
  }
  const sum = weights.reduce((a, b) => a + b, 0);
  if (sum === 0 || sum === Infinity) {
    if (total === 0) return weights.map(() => 0);
    throw new RangeError(`split: cannot split ${total} by weights that sum to ${sum}`);
  }
  const exact = weights.map((weight) => (weight / sum) * total);
  const shares = exact.map((share) => Math.floor(share));
  let rest = total - shares.reduce((a, b) => a + b, 0);
  const byRemainder = exact
    .map((share, index) => ({ index, remainder: share - Math.floor(share) }))
    .sort((a, b) => b.remainder - a.remainder || a.index - b.index);
  for (const { index } of byRemainder) {
    if (rest <= 0) break;
    if (weights[index] === 0) continue;
    shares[index]! += 1;
    rest -= 1;
  }
  return shares;
}
