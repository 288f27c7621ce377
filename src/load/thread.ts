/** The entry of an engine thread: runs one share of an assignment, as told by engine.ts. Load runs here only. */
import { parentPort } from 'node:worker_threads';
import type { Assignment } from '../task/assignment.ts';
import { Attack } from './attack.ts';
import type { EngineStart, FromThread, ToThread } from './messages.ts';
import { rehearse } from './rehearsal.ts';

const port = parentPort;
if (port === null) throw new Error('thread.ts is the entry of a worker thread');

let prepared: { assignment: Assignment; permit: SharedArrayBuffer | null } | null = null;
let attack: Attack | null = null;

function tell(message: FromThread): void {
  port!.postMessage(message);
}

async function run(start: EngineStart): Promise<void> {
  await using running = new Attack({ ...prepared!, ...start, onSample: (sample) => tell({ type: 'sample', sample }) });
  attack = running;
  await running.run();
}

function handle(message: ToThread): void {
  switch (message.type) {
    case 'prepare':
      prepared = message;
      // A rehearsal that fails only leaves the code cold.
      void rehearse(prepared.assignment)
        .catch(() => undefined)
        .then(() => tell({ type: 'ready' }));
      return;
    case 'start':
      void run(message).then(() => {
        tell({ type: 'ended' });
        port!.close();
      });
      return;
    case 'course':
      attack?.setCourse(message.course);
      return tell({ type: 'applied', id: message.id });
    case 'drain':
      return attack?.drain(message.graceMs);
    case 'abort':
      return attack?.abort();
  }
}

port.on('message', handle);
