/** Imported into a node that is tested (`NODE_OPTIONS`): SIGUSR2 blocks its main thread, and only that. */
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  process.on('SIGUSR2', () => {
    const end = performance.now() + Number(process.env.FAULTS_BLOCK_MS);
    while (performance.now() < end);
  });
}
