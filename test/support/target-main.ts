import { errorMessage } from '../../src/lib/errors.ts';
import { idleHelpers } from '../../src/load/quiet-v8.ts';
import { startTarget, type TargetOptions } from '../../src/load/target/server.ts';
import type { TargetCommand, TargetEvent } from './target-process.ts';

/**
 * A target as a process of its own, told by its parent over IPC; the options are the only argument, as JSON.
 * It ends with its parent.
 */
await idleHelpers();
const target = await startTarget(JSON.parse(process.argv[2] ?? '{}') as TargetOptions).catch((error: unknown) => {
  process.stderr.write(`target: ${errorMessage(error)}\n`);
  process.exit(1);
});

function tell(event: TargetEvent): void {
  process.send?.(event);
}

process.on('message', (command: TargetCommand) => {
  if (command.kind === 'reset') target.reset();
  tell({ kind: 'stats', id: command.id, stats: target.stats(command.rate) });
});
process.on('disconnect', () => process.exit());
tell({ kind: 'listening', url: target.url, port: target.port });
