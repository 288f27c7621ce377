/** Holds a data folder until it is killed: node store-holder.ts FOLDER. Prints `open`, or the error. */
import { SILENT } from '../../src/lib/log.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { startedRun, seqs } from './store-records.ts';

const folder = process.argv[2] ?? '';
const store = openSqliteStore({ folder, log: SILENT });
await store.migrate();
const run = await startedRun(store);
process.stdout.write('open\n');
// Writes until it is killed: what it has printed is what it was told is stored.
for (let seq = 1; ; seq++) {
  const { written } = await store.tasks.putSamples(1, seqs(run, seq, seq));
  process.stdout.write(`${written} ${seq}\n`);
}
