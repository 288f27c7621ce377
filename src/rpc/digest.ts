import { createHash } from 'node:crypto';

/** A digest of a request's content, the same whatever the order of its maps. */
export function contentDigest(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content, canonical)).digest('hex');
}

/** Keys in order; bytes by their own digest. */
function canonical(_key: string, value: unknown): unknown {
  // JSON.stringify has called Buffer's toJSON before it asks.
  if (isBufferJson(value)) return createHash('sha256').update(Buffer.from(value.data)).digest('hex');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isBufferJson(value: unknown): value is { data: number[] } {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer' && 'data' in value;
}
