/**
 * The first migration in SQLite's words. Ids are never used again (autoincrement), as in MySQL. What fills columns must be known to the
 * `sqlite3` that a person writes with, too: that of Debian 12 is 3.40.
 */
const NOW_MS = `(cast(round((julianday('now') - 2440587.5) * 86400000) as integer))`;

const PREPARED_COLUMNS = `
  spec text not null,
  body blob,
  tls_ca text,
  tls_cert text,
  tls_key text,
  placement text`;

export const FIRST_SQLITE: readonly string[] = [
  `create table task (
  id integer primary key autoincrement,${PREPARED_COLUMNS},
  version integer not null default 1,
  start_requested integer not null default 0 check (start_requested in (0, 1, 2)),
  start_number integer,
  problem text,
  created_ms integer not null default ${NOW_MS},
  updated_ms integer not null default ${NOW_MS}
) strict`,
  `create index task_start on task (start_requested)`,
  `create table run (
  id integer primary key autoincrement,
  task_id integer not null,
  number integer not null,${PREPARED_COLUMNS},
  wanted_state text not null default 'RUNNING' check (wanted_state in ('RUNNING', 'PAUSED', 'STOPPED')),
  wanted_target real check (wanted_target >= 0),
  wanted_ramp_ms real not null default 0 check (wanted_ramp_ms >= 0),
  wanted_stages text,
  wanted_version integer not null default 1,
  state text not null default 'PENDING',
  active integer as (case when state in ('DONE', 'DONE_INCOMPLETE', 'FAILED', 'CANCELLED') then null else 1 end) stored,
  reason text not null,
  version integer not null default 1,
  applied text,
  plan text,
  created_ms integer not null,
  started_ms integer,
  ended_ms integer,
  revision integer not null default 0,
  unique (task_id, number),
  unique (task_id, active)
) strict`,
  `create index run_is_active on run (active)`,
  `create table assignment (
  run_id integer not null,
  number integer not null,
  node_id text not null,
  incarnation integer not null,
  version integer not null,
  epoch integer not null,
  share_weight real not null,
  share_of real not null,
  share_phase real not null,
  hits integer,
  max_in_flight integer not null,
  max_queue integer not null,
  state text not null,
  final_seq integer,
  primary key (run_id, number)
) strict, without rowid`,
  `create table sample (
  run_id integer not null,
  assignment integer not null,
  incarnation integer not null,
  seq integer not null,
  second integer not null,
  digest blob not null,
  data blob not null,
  primary key (run_id, assignment, incarnation, seq)
) strict`,
  `create index sample_second on sample (run_id, second, assignment, incarnation, seq)`,
  `create table event (
  id integer primary key autoincrement,
  wall_ms integer not null,
  term integer not null,
  node_id text not null,
  kind text not null,
  subject text not null,
  text text not null
) strict`,
  `create table request (
  id blob not null primary key,
  digest text not null,
  task_id integer not null,
  run_id integer,
  created_ms integer not null
) strict, without rowid`,
  `create index request_created on request (created_ms)`,
  `create table fence (
  id integer primary key check (id = 1),
  term integer not null,
  holder text,
  incarnation integer,
  writer text
) strict`,
  `create table leftover (run_id integer primary key) strict`,
  `insert into fence (id, term) values (1, 0)`,
];
