import type { MasterContext, MasterDriver } from '../cluster/ports.ts';
import type { ReportMaker, StressApi, TaskStore } from './ports.ts';
import { StressService } from './service.ts';
import { MasterSession } from './session.ts';

export interface StressMasterOptions {
  store: TaskStore;
  makeReport: ReportMaker;
}

/** The stress driver of a master: looks after all runs while its node is master. */
export class StressMaster implements MasterDriver {
  readonly #options: StressMasterOptions;
  #api: StressApi | null = null;

  constructor(options: StressMasterOptions) {
    this.#options = options;
  }

  /** null: this node is not master now. */
  get api(): StressApi | null {
    return this.#api;
  }

  async run(context: MasterContext): Promise<void> {
    const { store, makeReport } = this.#options;
    const session = new MasterSession({ context, store });
    this.#api = new StressService({ session, store, makeReport });
    try {
      await session.run();
    } finally {
      this.#api = null;
    }
  }
}
