import type { Selectable } from 'kysely';
import type { NodeRef } from '../cluster/ports.ts';
import { CodedError } from '../lib/errors.ts';
import type { Written } from '../stress/ports.ts';
import type { Db, FenceTable } from './tables.ts';

/** What is committed now. */
export async function readFence(db: Db): Promise<Selectable<FenceTable>> {
  const row = await db.selectFrom('fence').selectAll().where('id', '=', 1).executeTakeFirst();
  if (row !== undefined) return row;
  throw new CodedError(
    'FAILED_PRECONDITION',
    'expected one row in the table fence, found none: run `gostress migrate`',
  );
}

export function fenceOf({ term, holder, incarnation }: Selectable<FenceTable>): {
  term: number;
  holder: NodeRef | null;
} {
  return {
    term: Number(term),
    holder: holder === null || incarnation === null ? null : { nodeId: holder, incarnation: Number(incarnation) },
  };
}

/** What 0 rows of a fenced statement mean. */
export async function whyNothing(db: Db, term: number): Promise<Written> {
  return Number((await readFence(db)).term) === term ? 'changed' : 'fenced';
}
