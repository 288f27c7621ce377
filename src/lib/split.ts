/**
 * Splits an integer total into integer shares in proportion to the weights; the shares add up to the total.
 * Largest remainder method; a tie goes to the larger weight, then to the earlier member: the result depends on
 * nothing but the arguments, and another order of the members only swaps shares among members of the same weight.
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
  // Sorted, because the sum of doubles depends on their order.
  const sum = weights.toSorted((a, b) => a - b).reduce((a, b) => a + b, 0);
  if (sum === 0 || sum === Infinity) {
    if (total === 0) return weights.map(() => 0);
    throw new RangeError(`split: cannot split ${total} by weights that sum to ${sum}`);
  }
  const exact = weights.map((weight) => (weight / sum) * total);
  const shares = exact.map((share) => Math.floor(share));
  let rest = total - shares.reduce((a, b) => a + b, 0);
  const members = exact
    .map((share, index) => ({ index, remainder: share - Math.floor(share) }))
    .filter(({ index }) => weights[index]! > 0)
    .sort((a, b) => b.remainder - a.remainder || weights[b.index]! - weights[a.index]! || a.index - b.index);
  // Once around is all it takes, but for totals so large that a share's fraction does not fit into a double.
  for (let at = 0; rest > 0; at = (at + 1) % members.length) {
    shares[members[at]!.index]! += 1;
    rest -= 1;
  }
  for (let at = members.length - 1; rest < 0; at = (at || members.length) - 1) {
    if (shares[members[at]!.index] === 0) continue;
    shares[members[at]!.index]! -= 1;
    rest += 1;
  }
  return shares;
}
