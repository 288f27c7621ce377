import * as z from 'zod';
import { show } from '../lib/show.ts';
import type { Plan, Share } from '../task/plan.ts';
import type { PreparedTask, TaskSpec } from '../task/spec.ts';

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

export const task: z.ZodType<PreparedTask> = z
  .object({
    specJson,
    body: optional(bytes),
    inlineBody: z.enum(['INLINE_BODY_UNSPECIFIED', 'INLINE_BODY_TEXT', 'INLINE_BODY_BASE64']),
    tlsCa: optional(z.string()),
    tlsCert: optional(z.string()),
    tlsKey: optional(z.string()),
  })
  .transform(({ specJson: spec, body, inlineBody, tlsCa, tlsCert, tlsKey }) => {
    const tls = { ca: tlsCa, cert: tlsCert, key: tlsKey };
    if (inlineBody === 'INLINE_BODY_UNSPECIFIED') return { spec, body, tls };
    const content = Buffer.from(body ?? []);
    const inline =
      inlineBody === 'INLINE_BODY_TEXT'
        ? ({ kind: 'text', text: content.toString() } as const)
        : ({ kind: 'base64', base64: content.toString('base64') } as const);
    return { spec: { ...spec, request: { ...spec.request, body: inline } }, body, tls };
  });

export function taskToWire({ spec, body, tls }: PreparedTask): object {
  const inlineBody = inlineBodyOf(spec, body);
  const sent = inlineBody === 'INLINE_BODY_UNSPECIFIED' ? spec : { ...spec, request: { ...spec.request, body: null } };
  return { specJson: JSON.stringify(sent), body, inlineBody, tlsCa: tls.ca, tlsCert: tls.cert, tlsKey: tls.key };
}

/** How the other end can make the spec's body from the bytes; unspecified: it cannot, to the letter. */
function inlineBodyOf({ request }: TaskSpec, body: Uint8Array | null): string {
  const content = body === null ? null : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (content !== null && request.body?.kind === 'text' && content.toString() === request.body.text) {
    return 'INLINE_BODY_TEXT';
  }
  if (content !== null && request.body?.kind === 'base64' && content.toString('base64') === request.body.base64) {
    return 'INLINE_BODY_BASE64';
  }
  return 'INLINE_BODY_UNSPECIFIED';
}
