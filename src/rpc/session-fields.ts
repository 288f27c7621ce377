import * as z from 'zod';
import { show } from '../lib/show.ts';
import { LIMITS } from '../task/defaults.ts';
import type { Plan, Share } from '../task/plan.ts';
import type { BodySpec, PreparedTask, TaskSpec } from '../task/spec.ts';

/** Fields of the session's messages as proto-loader gives them, turned into those of the model. */

/** A 64-bit id, exactly. */
export const id = z.string().transform((text) => BigInt(text));

/** A 64-bit number that counts something. */
export const count = z.string().transform((text, context) => {
  const number = Number(text);
  if (Number.isSafeInteger(number)) return number;
  context.addIssue(`expected a whole number below 2^53, found ${text}`);
  return z.NEVER;
});

/** A double; neither infinite nor NaN. */
export const number = z.number();

/** Not the Buffer that it came in, whose `slice` is another one. */
export const bytes = z
  .instanceof(Uint8Array)
  .transform((buffer) => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength));

/** A field that proto3 calls optional: absent is null. */
export function optional<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullable().default(null);
}

/** Names one assignment of one run. */
export const assignmentKey = { runId: id, assignment: count };

export const share: z.ZodType<Share> = z.object({ weight: number, of: number, phase: number });

const MODELS = { MODEL_OPEN: 'open', MODEL_CLOSED: 'closed' } as const;

const endMs = z.custom<number>((value) => typeof value === 'number' && value >= 0, 'expected milliseconds from 0 on');

export const plan: z.ZodType<Plan> = z.object({
  model: z.enum(['MODEL_OPEN', 'MODEL_CLOSED']).transform((model) => MODELS[model]),
  segments: z.array(z.object({ startMs: number, endMs, from: number, to: number })).min(1),
});

export function planToWire({ model, segments }: Plan): object {
  return { model: model === 'open' ? 'MODEL_OPEN' : 'MODEL_CLOSED', segments };
}

/** What a spec surely has, so that nonsense is refused here; the sender has checked the rest. */
const specShape = z.looseObject({
  name: z.string(),
  request: z.looseObject({ method: z.string(), url: z.string(), headers: z.array(z.unknown()) }),
  load: z.looseObject({ stages: z.array(z.unknown()) }),
  connections: z.looseObject({}),
  timeouts: z.looseObject({}),
  redirects: z.looseObject({}),
  tls: z.looseObject({}),
  checks: z.array(z.unknown()),
  slos: z.array(z.string()),
});

const specJson = z
  .string()
  .transform((json, context): unknown => {
    try {
      return JSON.parse(json);
    } catch {
      context.addIssue(`expected JSON, found ${show(json)}`);
      return z.NEVER;
    }
  })
  .pipe(specShape)
  .transform((spec) => spec as unknown as TaskSpec);

const INLINE_BODIES = ['INLINE_BODY_UNSPECIFIED', 'INLINE_BODY_TEXT', 'INLINE_BODY_BASE64'] as const;
export type InlineBody = (typeof INLINE_BODIES)[number];

/** A larger body does not travel in its task, but in parts after it. */
const MAX_BODY_WITHIN_BYTES = 256 * 1024;

/** Of a body that follows, `completeTask` makes the task whole. */
export const taskFields = z.object({
  specJson,
  body: optional(bytes),
  inlineBody: z.enum(INLINE_BODIES),
  tlsCa: optional(z.string()),
  tlsCert: optional(z.string()),
  tlsKey: optional(z.string()),
  followingBodyBytes: count.refine(
    (length) => length <= LIMITS.bodyBytes,
    `expected at most ${LIMITS.bodyBytes} bytes, found more`,
  ),
});

export const task: z.ZodType<PreparedTask> = taskFields.transform((fields) => {
  const { specJson: spec, body, inlineBody, tlsCa, tlsCert, tlsKey, followingBodyBytes } = fields;
  const whole: PreparedTask = { spec, body, tls: { ca: tlsCa, cert: tlsCert, key: tlsKey } };
  return followingBodyBytes > 0 ? whole : completeTask(whole, inlineBody, body);
});

/** The task with its body, and with the spec's own form of it. */
export function completeTask(
  { spec, tls }: PreparedTask,
  inlineBody: InlineBody,
  body: Uint8Array | null,
): PreparedTask {
  if (inlineBody === 'INLINE_BODY_UNSPECIFIED') return { spec, body, tls };
  const content = bufferOf(body ?? new Uint8Array());
  const inline: BodySpec =
    inlineBody === 'INLINE_BODY_TEXT'
      ? { kind: 'text', text: content.toString() }
      : { kind: 'base64', base64: content.toString('base64') };
  return { spec: { ...spec, request: { ...spec.request, body: inline } }, body, tls };
}

export function taskToWire(prepared: PreparedTask): object {
  const { spec, body, tls } = prepared;
  const inlineBody = inlineBodyOf(prepared);
  const sent = inlineBody === 'INLINE_BODY_UNSPECIFIED' ? spec : { ...spec, request: { ...spec.request, body: null } };
  const follows = followingBody(prepared);
  return {
    specJson: JSON.stringify(sent),
    body: follows === null ? body : null,
    inlineBody,
    tlsCa: tls.ca,
    tlsCert: tls.cert,
    tlsKey: tls.key,
    followingBodyBytes: follows?.length ?? 0,
  };
}

/** The body that is sent after its task; null: there is none, or it is small enough. */
export function followingBody({ body }: PreparedTask): Uint8Array | null {
  return body !== null && body.length > MAX_BODY_WITHIN_BYTES ? body : null;
}

/** By task, since the same one goes to many workers and comparing 64 MiB takes a tenth of a second. */
const inlineBodies = new WeakMap<PreparedTask, InlineBody>();

function inlineBodyOf(prepared: PreparedTask): InlineBody {
  const known = inlineBodies.get(prepared) ?? compareInlineBody(prepared);
  inlineBodies.set(prepared, known);
  return known;
}

/** How the other end can make the spec's body from the bytes; unspecified: it cannot, to the letter. */
function compareInlineBody({ spec, body }: PreparedTask): InlineBody {
  const inline = spec.request.body;
  if (body === null || inline === null) return 'INLINE_BODY_UNSPECIFIED';
  const content = bufferOf(body);
  if (inline.kind === 'text' && content.toString() === inline.text) return 'INLINE_BODY_TEXT';
  if (inline.kind === 'base64' && content.toString('base64') === inline.base64) return 'INLINE_BODY_BASE64';
  return 'INLINE_BODY_UNSPECIFIED';
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
