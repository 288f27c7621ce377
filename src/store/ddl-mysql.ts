/**
 * The first migration in MySQL's words: what MySQL 8 and MariaDB 10.11 share. DDL commits by itself, so each statement may
 * find its work done by a migration that was killed half way.
 */
const TABLE_OPTIONS = 'engine = InnoDB default charset = utf8mb4 collate = utf8mb4_bin';
const NOW_MS = '(cast(unix_timestamp(now(3)) * 1000 as signed))';

const PREPARED_COLUMNS = `
  spec longtext not null,
  body longblob null,
  tls_ca mediumtext null,
  tls_cert mediumtext null,
  tls_key mediumtext null,
  placement text null`;

export const FIRST_MYSQL: readonly string[] = [
  `create table if not exists task (
  id bigint not null auto_increment primary key,${PREPARED_COLUMNS},
  version bigint not null default 1,
  start_requested tinyint not null default 0,
  start_number bigint null,
  problem text null,
  created_ms bigint not null default ${NOW_MS},
  updated_ms bigint not null default ${NOW_MS},
  key task_start (start_requested),
  constraint task_start_requested check (start_requested in (0, 1, 2))
) ${TABLE_OPTIONS}`,
  `create table if not exists run (
  id bigint not null auto_increment primary key,
  task_id bigint not null,
  number bigint not null,${PREPARED_COLUMNS},
  wanted_state varchar(16) not null default 'RUNNING',
  wanted_target double null,
  wanted_ramp_ms double not null default 0,
  wanted_stages longtext null,
  wanted_version bigint not null default 1,
  state varchar(32) not null default 'PENDING',
  active tinyint as (case when state in ('DONE', 'DONE_INCOMPLETE', 'FAILED', 'CANCELLED') then null else 1 end) stored,
  reason text not null,
  version bigint not null default 1,
  applied longtext null,
  plan longtext null,
  created_ms bigint not null,
  started_ms bigint null,
  ended_ms bigint null,
  revision bigint not null default 0,
  unique key run_number (task_id, number),
  unique key run_active (task_id, active),
  key run_is_active (active),
  constraint run_wanted_state check (wanted_state in ('RUNNING', 'PAUSED', 'STOPPED')),
  constraint run_wanted_target check (wanted_target >= 0),
  constraint run_wanted_ramp check (wanted_ramp_ms >= 0)
) ${TABLE_OPTIONS}`,
  `create table if not exists assignment (
  run_id bigint not null,
  number bigint not null,
  node_id varchar(255) not null,
  incarnation bigint not null,
  version bigint not null,
  epoch bigint not null,
  share_weight double not null,
  share_of double not null,
  share_phase double not null,
  hits bigint null,
  max_in_flight bigint not null,
  max_queue bigint not null,
  state varchar(16) not null,
  final_seq bigint null,
  primary key (run_id, number)
) ${TABLE_OPTIONS}`,
  `create table if not exists sample (
  run_id bigint not null,
  assignment bigint not null,
  incarnation bigint not null,
  seq bigint not null,
  second bigint not null,
  digest binary(16) not null,
  data mediumblob not null,
  primary key (run_id, assignment, incarnation, seq),
  key sample_second (run_id, second)
) ${TABLE_OPTIONS}`,
  `create table if not exists event (
  id bigint not null auto_increment primary key,
  wall_ms bigint not null,
  term bigint not null,
  node_id varchar(255) not null,
  kind varchar(64) not null,
  subject varchar(255) not null,
  text text not null
) ${TABLE_OPTIONS}`,
  `create table if not exists request (
  id varbinary(255) not null primary key,
  digest varchar(255) not null,
  task_id bigint not null,
  run_id bigint null,
  created_ms bigint not null,
  key request_created (created_ms)
) ${TABLE_OPTIONS}`,
  `create table if not exists fence (
  id tinyint not null primary key,
  term bigint not null,
  holder varchar(255) null,
  incarnation bigint null,
  writer varchar(64) null,
  constraint fence_one_row check (id = 1)
) ${TABLE_OPTIONS}`,
  `create table if not exists leftover (run_id bigint not null primary key) ${TABLE_OPTIONS}`,
  `insert into fence (id, term) values (1, 0) on duplicate key update id = 1`,
];
