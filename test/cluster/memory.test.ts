import { describe } from 'vitest';
import { MemoryHub } from '../../src/cluster/memory.ts';
import { coordinatorSuite } from '../conformance/coordinator.ts';

describe('the coordinator within a process', { timeout: 60_000 }, () => {
  coordinatorSuite(() => {
    const hub = new MemoryHub();
    return {
      connect: () => hub.coordinator(),
      cut: (coordinator) => void (coordinator.isCut = true),
    };
  });
});
