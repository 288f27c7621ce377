import type { ColumnType, Generated, Kysely } from 'kysely';
import type { AssignmentRecord } from '../stress/ports.ts';
import type { RunState } from '../task/status.ts';

/** The tables as both databases have them; `ddl-mysql.ts` and `ddl-sqlite.ts` create them. README.md explains each. */

/** A 64-bit integer: bigint when it is read (or number, where the database says that it is small), either when written. */
export type Integer = bigint | number;
type Blob = Uint8Array;

export interface TaskTable {
  id: Generated<Integer>;
  /** `TaskInput` as JSON: the task as a user writes it. */
  spec: string;
  /** Of a spec that names a file. */
  body: Generated<Blob | null>;
  tls_ca: Generated<string | null>;
  tls_cert: Generated<string | null>;
  tls_key: Generated<string | null>;
  placement: Generated<string | null>;
  version: Generated<Integer>;
  /** 0: no; 1: wanted by hand; 2: being taken up as run `start_number`. */
  start_requested: Generated<Integer>;
  start_number: Generated<Integer | null>;
  /** Why the last request by hand was not carried out. */
  problem: Generated<string | null>;
  created_ms: Generated<Integer>;
  updated_ms: Generated<Integer>;
}

export interface RunTable {
  id: Generated<Integer>;
  task_id: Integer;
  number: Integer;
  spec: string;
  body: Blob | null;
  tls_ca: string | null;
  tls_cert: string | null;
  tls_key: string | null;
  placement: string | null;
  wanted_state: Generated<'RUNNING' | 'PAUSED' | 'STOPPED'>;
  wanted_target: number | null;
  wanted_ramp_ms: Generated<number>;
  wanted_stages: string | null;
  wanted_version: Generated<Integer>;
  state: Generated<RunState>;
  /** Made by the database: 1 while the state is not final, else NULL. One row per task may have it. */
  active: ColumnType<Integer | null, never, never>;
  reason: Generated<string>;
  version: Generated<Integer>;
  applied: string | null;
  plan: string | null;
  created_ms: Integer;
  started_ms: Integer | null;
  ended_ms: Integer | null;
  revision: Generated<Integer>;
}

export interface AssignmentTable {
  run_id: Integer;
  number: Integer;
  node_id: string;
  incarnation: Integer;
  version: Integer;
  epoch: Integer;
  share_weight: number;
  share_of: number;
  share_phase: number;
  hits: Integer | null;
  max_in_flight: Integer;
  max_queue: Integer;
  state: AssignmentRecord['state'];
  final_seq: Integer | null;
  lost_by_ms: Integer | null;
}

export interface SampleTable {
  run_id: Integer;
  assignment: Integer;
  incarnation: Integer;
  seq: Integer;
  second: Integer;
  digest: Blob;
  data: Blob;
}

export interface EventTable {
  id: Generated<Integer>;
  wall_ms: Integer;
  term: Integer;
  node_id: string;
  kind: string;
  subject: string;
  text: string;
}

export interface RequestTable {
  id: Blob;
  digest: string;
  task_id: Integer;
  /** Of StartTask; NULL: the request made the task. */
  run_id: Integer | null;
  created_ms: Integer;
}

/** One row, id 1. */
export interface FenceTable {
  id: Integer;
  term: Integer;
  holder: string | null;
  incarnation: Integer | null;
  /** The store whose connections write under this term: part of their locks' names. */
  writer: string | null;
}

/** Runs of deleted tasks, whose samples are still to be deleted. */
export interface LeftoverTable {
  run_id: Integer;
}

export interface Tables {
  task: TaskTable;
  run: RunTable;
  assignment: AssignmentTable;
  sample: SampleTable;
  event: EventTable;
  request: RequestTable;
  fence: FenceTable;
  leftover: LeftoverTable;
}

export type Db = Kysely<Tables>;
