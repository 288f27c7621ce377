import { maskTask, taskInputOf } from '../task/format.ts';
import type { TaskSpec } from '../task/spec.ts';
import { MAX_BODY_BYTES, type ReportTask } from './schema.ts';

/** The task for the report: as users write it, masked, without a long body. */
export function describeTask(spec: TaskSpec): ReportTask {
  const task = taskInputOf(maskTask(spec));
  const { body } = spec.request;
  if (body === null || body.kind === 'file') return task;
  const bytes = body.kind === 'text' ? Buffer.byteLength(body.text) : Buffer.byteLength(body.base64, 'base64');
  return bytes <= MAX_BODY_BYTES ? task : { ...task, request: { ...task.request, body: { omittedBytes: bytes } } };
}
