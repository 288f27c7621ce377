import { formatDuration } from '../lib/duration.ts';
import { formatCount, formatRate, formatShare, plural } from '../lib/format.ts';
import { formatTable, oneLine } from '../report/table.ts';
import type { LoadMessage, NodeMessage, RunMessage, ShareMessage, StageMessage, Time } from '../rpc/messages.ts';

/** Columns that hold numbers are named here; all others are texts. */
const NUMBERS = new Set(['cpu', 'memory', 'running', 'share', 'target', 'priority']);

/** Aligned columns under their titles. */
export function listText(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = titles.map((title) => title.toUpperCase());
  const align = titles.map((title) => (NUMBERS.has(title) ? 'right' : 'left'));
  const cells = rows.map((row) => row.map((cell) => oneLine(cell === '' ? '-' : cell)));
  return `${formatTable([head, ...cells], align).join('\n')}\n`;
}

/** `load: 100/s for 10s` and the like, a line each, the names padded. */
export function pairsText(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length)) + 2;
  return pairs.map(([name, value]) => `${`${name}:`.padEnd(width)}${oneLine(value === '' ? '-' : value)}\n`).join('');
}

type MaybeTime = Time | null | undefined;

export function timeMs(time: MaybeTime): number | null {
  return time === null || time === undefined ? null : Number(time.seconds) * 1000 + time.nanos / 1e6;
}

/** `2026-01-02 03:04:05Z`; empty when it is absent. */
export function timestampText(time: MaybeTime): string {
  const ms = timeMs(time);
  return ms === null ? '' : new Date(ms).toISOString().replace(/T(.*)\.\d+Z$/, ' $1Z');
}

export function durationText(time: MaybeTime): string {
  const ms = timeMs(time);
  return ms === null ? '' : formatDuration(Math.max(0, ms));
}

/** `100/s for 10s`, `10 users`, `3 stages of hits a second, 1m30s`. */
export function loadText(load: LoadMessage | null | undefined): string {
  if (load === null || load === undefined) return '';
  const length = durationText(load.duration);
  const ends = [length === '' ? '' : ` for ${length}`, load.hits === undefined ? '' : `, ${load.hits} hits`].join('');
  if (load.ratePerSecond !== undefined) return `${formatRate(load.ratePerSecond)}${ends}`;
  if (load.plan === null || load.plan === undefined) return `${formatCount(load.users ?? 10)} users${ends}`;
  const { stages = [], model } = load.plan;
  const unit = model === 'CLOSED' ? ' users' : '/s';
  return `${stages.map((stage) => stageText(stage, unit)).join(', ')}${ends}`;
}

function stageText({ duration, target, shape }: StageMessage, unit: string): string {
  const length = durationText(duration);
  return `${shape === 'RAMP' ? 'to ' : ''}${target}${unit}${length === '' ? '' : ` ${shape === 'RAMP' ? 'within' : 'for'} ${length}`}`;
}

/** What the user wants of it, where that is not what it does anyway. */
export function wantedText({ wanted, state }: RunMessage): string {
  if (wanted === null) return '';
  const target = wanted.constant === undefined ? '' : String(wanted.constant);
  return [wanted.state === state || wanted.state === 'RUNNING' ? '' : wanted.state, target].join(' ').trim();
}

/** @param run whose shares they are */
export function sharesText(run: RunMessage | null, shares: readonly ShareMessage[]): string {
  const isUsers = run?.plan?.model === 'CLOSED';
  const rows = shares.map(({ assignment, node, weight, of, target, state }) => [
    node,
    formatShare(weight / of),
    isUsers ? plural(target, 'user') : formatRate(target),
    state,
    assignment,
  ]);
  return listText(['node', 'share', 'target', 'state', 'assignment'], rows);
}

const percent = (part: number): string => `${Math.round(part * 100)} %`;

export function nodesText(nodes: readonly NodeMessage[]): string {
  const rows = nodes.map((node) => [
    node.name,
    [...(node.master ? ['master'] : []), ...node.roles.map((role) => role.toLowerCase())].join(','),
    nodeState(node),
    node.info === null ? '' : percent(node.info.cpu),
    node.info === null ? '' : percent(node.info.memory),
    node.info === null ? '' : String(node.info.running),
    node.address,
    doubtsText(node),
    Object.entries(node.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    node.version,
  ]);
  return listText(
    ['name', 'roles', 'state', 'cpu', 'memory', 'running', 'address', 'doubted by', 'labels', 'version'],
    rows,
  );
}

/** Who gets no answer of it, and what is odd about that. */
function doubtsText({ doubts, down, remark }: NodeMessage): string {
  const who = doubts.map(({ sentinel }) => sentinel.replace('nodes/', '')).join(',');
  return [down ? `${who} (down)` : who, remark].filter((part) => part !== '').join('; ');
}

function nodeState({ standing, leaving, draining, connected, registered, roles }: NodeMessage): string {
  if (leaving) return 'leaving';
  if (draining) return 'draining';
  if (!roles.includes('WORKER')) return registered ? 'registered' : 'gone';
  if (standing === 'LIVE' && !connected) return 'connecting';
  return standing === 'STANDING_UNSPECIFIED' ? '' : standing.toLowerCase();
}

/** A message for programs: 64-bit integers stay texts, times become ISO 8601 or seconds, what is absent is left out. */
export function jsonText(message: unknown): string {
  return `${JSON.stringify(plain(message, ''), null, 2)}\n`;
}

function plain(value: unknown, key: string): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map((item) => plain(item, ''));
  if (typeof value !== 'object' || value === null) return value;
  if (isTime(value))
    return /time$/i.test(key) ? new Date(timeMs(value) ?? 0).toISOString() : `${(timeMs(value) ?? 0) / 1000}s`;
  const entries = Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
  return Object.fromEntries(entries.map(([name, item]) => [name, plain(item, name)]));
}

function isTime(value: object): value is Time {
  return Object.keys(value).length === 2 && 'seconds' in value && 'nanos' in value;
}
