import type { handleServerStreamingCall, handleUnaryCall, MethodDefinition } from '@grpc/grpc-js';
import { CodedError } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { pause } from '../lib/wait.ts';
import { toStatus } from './errors.ts';
import { loadProto } from './loader.ts';

/** grpc.health.v1.Health. */

type ServingStatus = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
interface Request {
  service: string;
}
interface Response {
  status: ServingStatus;
}

/** How soon a watcher hears of a change. */
const CHECK_MS = 250;

export interface HealthService {
  definition: Record<string, MethodDefinition<Request, Response>>;
  implementation: { Check: handleUnaryCall<Request, Response>; Watch: handleServerStreamingCall<Request, Response> };
}

/**
 * @param isServing whether a service answers now; undefined: there is no such service; `''` is the node as a whole
 * @param closing watches end when it aborts
 */
export function healthService(
  isServing: (service: string) => boolean | undefined,
  closing: AbortSignal,
): HealthService {
  const statusOf = (service: string): ServingStatus => {
    const serving = isServing(service);
    return serving === undefined ? 'SERVICE_UNKNOWN' : serving && !closing.aborted ? 'SERVING' : 'NOT_SERVING';
  };
  return {
    definition: loadProto('grpc/health/v1/health.proto')['grpc.health.v1.Health'] as HealthService['definition'],
    implementation: {
      Check: ({ request }, callback) => {
        const status = statusOf(request.service);
        if (status !== 'SERVICE_UNKNOWN') callback(null, { status });
        else
          callback(
            toStatus(new CodedError('NOT_FOUND', `service: expected one of this node, found ${show(request.service)}`)),
          );
      },
      Watch: (call) => {
        const gone = new AbortController();
        call.on('cancelled', () => gone.abort());
        call.on('close', () => gone.abort());
        void watch(
          () => statusOf(call.request.service),
          (status) => call.write({ status }),
          gone.signal,
          closing,
        ).then(() => call.end());
      },
    },
  };
}

async function watch(
  now: () => ServingStatus,
  tell: (status: ServingStatus) => void,
  gone: AbortSignal,
  closing: AbortSignal,
): Promise<void> {
  let told: ServingStatus | null = null;
  for (;;) {
    const status = now();
    if (status !== told) tell(status);
    told = status;
    if (gone.aborted || closing.aborted) return;
    await pause(CHECK_MS, AbortSignal.any([gone, closing]));
  }
}
