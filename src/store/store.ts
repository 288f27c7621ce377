import type { Fence } from '../cluster/ports.ts';
import type { TaskStore } from '../stress/ports.ts';

/** What `openMysqlStore` and `openSqliteStore` give. */
export interface Store {
  tasks: TaskStore;
  fence: Fence;
  /**
   * Brings the tables up to date; many nodes may do it at once, and again.
   *
   * @returns the names of the migrations that were done now
   * @throws CodedError
   */
  migrate(): Promise<string[]>;
  /** Calls under way reject, later ones too. Idempotent. */
  close(): Promise<void>;
}
