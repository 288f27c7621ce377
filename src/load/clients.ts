import { clientOf } from '../task/client.ts';
import type { ClientName, PreparedTask } from '../task/spec.ts';
import type { ClientOptions, ProtocolClient } from './client.ts';
import { createHttp1Client } from './http1.ts';
import { createHttp2Client } from './http2.ts';
import { createUndiciClient } from './undici.ts';

const CREATORS: Record<ClientName, (task: PreparedTask, options: ClientOptions) => ProtocolClient> = {
  http1: createHttp1Client,
  http2: createHttp2Client,
  undici: createUndiciClient,
};

/** The protocol client that the task is for. @throws CodedError INVALID_INPUT when the request or the certificates cannot be used */
export function createClient(task: PreparedTask, options: ClientOptions): ProtocolClient {
  return CREATORS[clientOf(task.spec)](task, options);
}
