import { formatDuration } from '../lib/duration.ts';
import { invalid } from '../lib/errors.ts';
import type { JsonValue } from '../task/spec.ts';
import type { StructMessage, Time, ValueMessage } from './messages.ts';

/** google.protobuf.Duration, Timestamp, Struct and Value as proto-loader gives them, and what the model has for them. */

/** Of google.protobuf.Duration. */
const MAX_SECONDS = 315_576_000_000;

/** @param ms from 0 on */
export function durationToMessage(ms: number): Time {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  return nanos === 1e9 ? { seconds: String(seconds + 1), nanos: 0 } : { seconds: String(seconds), nanos };
}

/** @throws CodedError INVALID_INPUT when it is negative or not a duration */
export function durationToMs({ seconds, nanos }: Time): number {
  const whole = Number(seconds);
  if (!(whole >= 0 && nanos >= 0)) throw invalid('expected a duration from 0 on, found a negative one');
  if (whole > MAX_SECONDS || nanos > 999_999_999) throw invalid('expected a duration, found more than 10000 years');
  return Math.round((whole * 1000 + nanos / 1e6) * 1e6) / 1e6;
}

/** As users write it in a task file. @throws CodedError INVALID_INPUT */
export function durationToText(duration: Time): string {
  return formatDuration(durationToMs(duration));
}

/** @param wallMs milliseconds since 1970 */
export function timestampToMessage(wallMs: number): Time {
  const seconds = Math.floor(wallMs / 1000);
  return { seconds: String(seconds), nanos: Math.round((wallMs - seconds * 1000) * 1e6) };
}

/** @returns milliseconds since 1970 */
export function timestampToWallMs({ seconds, nanos }: Time): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}

/** @param value a JSON value; keys that are undefined are left out, as JSON.stringify does */
export function valueToMessage(value: unknown): ValueMessage {
  if (value === null || value === undefined) return { nullValue: 'NULL_VALUE' };
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(valueToMessage) } };
  return { structValue: structToMessage(value) };
}

export function structToMessage(map: object): StructMessage {
  const entries = Object.entries(map).filter(([, value]) => value !== undefined);
  return { fields: Object.fromEntries(entries.map(([key, value]) => [key, valueToMessage(value)])) };
}

/** @returns undefined when nothing is set */
export function valueToJson(message: ValueMessage): JsonValue | undefined {
  if (message.nullValue !== undefined) return null;
  if (message.numberValue !== undefined) return message.numberValue;
  if (message.stringValue !== undefined) return message.stringValue;
  if (message.boolValue !== undefined) return message.boolValue;
  if (message.listValue !== undefined) return message.listValue.values.map((value) => valueToJson(value) ?? null);
  return message.structValue === undefined ? undefined : structToJson(message.structValue);
}

export function structToJson({ fields }: StructMessage): Record<string, JsonValue> {
  const entries = Object.entries(fields).map(([key, value]) => [key, valueToJson(value) ?? null] as const);
  return Object.fromEntries(entries);
}
