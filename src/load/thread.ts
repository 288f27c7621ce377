/** The entry of an engine thread: runs one share of an assignment, as told by engine.ts. Load runs here only. */
import { parentPort } from 'node:worker_threads';
import type { Assignment } from '../task/assignment.ts';
import { Attack } from './attack.ts';
import type { FromThread, ToThread } from './messages.ts';
import { rehearse } from './rehearsal.ts';

const port = parentPort;
if (port === null) throw new Error('thread.ts is the entry of a worker thread');

let assignment: Assignment | null = null;
let attack: Attack | null = null;

function tell(message: FromThread): void {
  port!.postMessage(message);
}

async function run(startAtMs: number): Promise<void> {
  await using running = new Attack(assignment!, startAtMs, (sample) => tell({ type: 'sample', sample }));
  attack = running;
  await running.run();
}

function handle(message: ToThread): void {
  switch (message.type) {
    case 'prepare':
      assignment = message.assignment;
      // A rehearsal that fails only leaves the code cold.
      void rehearse(assignment)
        .catch(() => undefined)
        .then(() => tell({ type: 'ready' }));
      return;
    case 'start':
      void run(message.startAtMs).then(() => {
        tell({ type: 'ended' });
        port!.close();
      });
      return;
    case 'plan':
      attack?.setPlan(message.plan);
      return tell({ type: 'applied', id: message.id });
    case 'drain':
      return attack?.drain();
    case 'abort':
      return attack?.abort();
  }
}

port.on('message', handle);
