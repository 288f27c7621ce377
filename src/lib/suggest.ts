/**
 * The known word that was probably meant, or null when none is near: at most one slip per four letters of the longer
 * word, and no more than three. Upper and lower case are the same here. Ties go to the earlier word.
 */
export function nearest(word: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const candidate of known) {
    const limit = Math.min(3, Math.ceil(Math.max(word.length, candidate.length) / 4));
    if (Math.abs(word.length - candidate.length) > limit) continue;
    const distance = slips(word.toLowerCase(), candidate.toLowerCase());
    // As many slips as letters is another word.
    if (distance > limit || distance >= Math.min(word.length, candidate.length)) continue;
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Damerau–Levenshtein distance (optimal string alignment): letters left out, added, changed, or two neighbours swapped. */
function slips(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? beforePrevious[j - 2]! + 1 : Infinity;
      row[j] = Math.min(changed, previous[j]! + 1, row[j - 1]! + 1, swapped);
    }
    beforePrevious = previous;
    previous = row;
  }
  return previous[b.length]!;
}
