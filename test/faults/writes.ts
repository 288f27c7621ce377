import type { Mariadb } from '../support/mariadb.ts';

/** Rows that were changed, with the statement that did it, in the order of the commits. */
export const BINLOG = ['--log-bin=bin', '--server-id=1', '--binlog-format=ROW', '--binlog-annotate-row-events=ON'];

/** A statement that changed at least one row. */
export type Write =
  | { kind: 'raise'; term: number }
  /** `state`: of the run, when the statement changes that. */
  | { kind: 'fenced'; table: string; term: number; state: string | null };

/** All fenced writes and raises of the fence so far, in the order in which they took effect. */
export async function readWrites(mariadb: Mariadb): Promise<Write[]> {
  const writes: Write[] = [];
  for (const { Log_name: file } of await mariadb.query('show binary logs')) {
    for (const { Event_type: type, Info: info } of await mariadb.query(`show binlog events in '${String(file)}'`)) {
      const write = type === 'Annotate_rows' ? parseWrite(String(info)) : null;
      if (write !== null) writes.push(write);
    }
  }
  return writes;
}

/** @returns null: it is neither */
export function parseWrite(statement: string): Write | null {
  const raised = /^\s*update `fence` set `term` = (\d+)/i.exec(statement);
  if (raised !== null) return { kind: 'raise', term: Number(raised[1]) };
  const fenced = /join fence on fence\.id = 1 and fence\.term = (\d+)/i.exec(statement);
  if (fenced === null) return null;
  const [, table = '?'] = /^\s*(?:insert into|update) `(\w+)`/i.exec(statement) ?? [];
  const state = table === 'run' ? /set[^']*`state` = '(\w+)'/i.exec(statement) : null;
  return { kind: 'fenced', table, term: Number(fenced[1]), state: state?.[1] ?? null };
}
