import { clientOf } from '../task/client.ts';
import type { PreparedTask } from '../task/spec.ts';
import type { ClientOptions, ProtocolClient } from './client.ts';
import { createHttp1Client } from './http1.ts';
import { createUndiciClient } from './undici.ts';

/** The protocol client that the task is for. @throws CodedError INVALID_INPUT when the request or the certificates cannot be used */
export function createClient(task: PreparedTask, options: ClientOptions): ProtocolClient {
  return clientOf(task.spec) === 'http1' ? createHttp1Client(task, options) : createUndiciClient(task, options);
}
