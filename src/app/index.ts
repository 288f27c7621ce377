/**
 * The library: what `import { … } from 'gostress'` gives. The command line is built on the same parts.
 *
 * In short: `parseTask` or `parseTaskFile` → `prepareTask` → `new LocalRun(task).run()` → a `Report` for `formatReport`.
 * A kind of distributed work of one's own: `registerMasterDriver` and `registerWorkerDriver` in a module for `--driver`.
 * Whoever wants to hold the samples or to retune while it runs takes `Engine` and `ReportBuilder` themselves.
 */
export { CodedError, type ErrorCode } from '../lib/errors.ts';
export { Histogram } from '../lib/histogram.ts';
export type { Assignment } from '../task/assignment.ts';
export { importCurl, type CurlImport } from '../task/curl/index.ts';
export { parseTaskFile } from '../task/file.ts';
export { formatTask, maskTask } from '../task/format.ts';
export type { Plan, Segment, Share } from '../task/plan.ts';
export { prepareTask } from '../task/prepare.ts';
export type { Counts, DropCause, EngineHealth, ErrorClass, HistogramName, Sample, Traffic } from '../task/sample.ts';
export { parseTask, taskJsonSchema, type TaskInput } from '../task/schema.ts';
export type { CheckSpec, LoadSpec, PreparedTask, RequestSpec, StageSpec, TaskSpec } from '../task/spec.ts';
export { Engine, wholeAssignment, type EngineEnd, type EngineOptions } from '../load/engine.ts';
export { startTarget, type Target, type TargetOptions } from '../load/target/server.ts';
export {
  formatJson,
  formatReport,
  ReportBuilder,
  reportJsonSchema,
  type Report,
  type RunEnd,
  type RunInfo,
  type Second,
  type TextOptions,
  type Verdict,
} from '../report/index.ts';
export { defaultThreads } from '../load/threads.ts';
export { LocalRun, type LocalRunOptions } from './compose.ts';
export { VERSION } from './version.ts';
export {
  registerMasterDriver,
  registerWorkerDriver,
  type MasterDriverFactory,
  type WorkerDriverFactory,
} from '../cluster/registry.ts';
export type {
  MasterContext,
  MasterDriver,
  Member,
  MemberEvent,
  NodeInfo,
  NodeRecord,
  NodeRef,
  Permit,
  WorkerContext,
  WorkerDriver,
} from '../cluster/ports.ts';
