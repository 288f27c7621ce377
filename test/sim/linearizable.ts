/** Something that was done to the lock with terms, seen from outside: it took effect at one instant within its time. */
export interface Op {
  /** `raise`: the term began; `see`: somebody found it, or wrote in it. */
  kind: 'raise' | 'see';
  term: number;
  /** Whose it is. */
  holder: string;
  fromMs: number;
  toMs: number;
}

/**
 * Whether a history fits a lock whose terms only grow, each of one holder: there is an order of its operations, one after
 * another, that does not contradict their times. Of such a lock there is one exactly when no two operations contradict
 * each other, so that pairs are all that has to be looked at: ordered by term, the raise of each term first, what is left is
 * the order of the times within a term.
 *
 * @returns each contradiction, a sentence; empty: it is linearizable
 */
export function contradictions(history: readonly Op[]): string[] {
  const found: string[] = [];
  const raises = new Map<number, Op>();
  for (const op of history) {
    if (op.kind !== 'raise') continue;
    const other = raises.get(op.term);
    if (other !== undefined) found.push(`${text(op)}: ${text(other)} too`);
    raises.set(op.term, op);
  }
  for (const op of history) {
    const raise = raises.get(op.term);
    if (raise === undefined) found.push(`${text(op)}: nobody raised it`);
    else if (op.holder !== raise.holder) found.push(`${text(op)}: it was raised by ${raise.holder}`);
    else if (op.toMs < raise.fromMs) found.push(`${text(op)}: before ${text(raise)}`);
  }
  const byEnd = [...history].sort((a, b) => a.toMs - b.toMs);
  const byBegin = [...history].sort((a, b) => a.fromMs - b.fromMs);
  let ended = 0;
  let newest: Op | null = null;
  for (const op of byBegin) {
    for (; byEnd[ended]!.toMs < op.fromMs; ended++) {
      if (byEnd[ended]!.term > (newest?.term ?? 0)) newest = byEnd[ended]!;
    }
    if (newest !== null && op.term < newest.term) found.push(`${text(op)}: after ${text(newest)}`);
  }
  return found;
}

function text({ kind, term, holder, fromMs, toMs }: Op): string {
  return `${holder} ${kind === 'raise' ? 'raised' : 'was seen in'} term ${term} (${fromMs} to ${toMs})`;
}
