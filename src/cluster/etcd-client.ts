import { readFileSync } from 'node:fs';
import { credentials, type ChannelCredentials } from '@grpc/grpc-js';
import {
  Etcd3,
  GRPCCancelledError,
  GRPCDeadlineExceededError,
  GRPCInternalError,
  GRPCUnavailableError,
  type IOptions,
} from 'etcd3';
import { CodedError, errorMessage } from '../lib/errors.ts';
import { plainReason } from '../lib/grpc-words.ts';
import type { EtcdMembers } from './etcd-members.ts';

export interface EtcdOptions {
  /** `host:port` of each member. */
  hosts: readonly string[];
  /** Name of the cluster: the prefix of its keys is `/gostress/{cluster}/`. */
  cluster: string;
  /** Paths of PEM files; null: no TLS. */
  tls: { ca: string; cert: string | null; key: string | null } | null;
  user: string | null;
  password: string | null;
}

/** What an answer may take; campaigns and leases have deadlines of their own. */
export const CALL_DEADLINE_MS = 2_000;
/** grpc-js keeps the deadline; this is for the case that it does not. */
const DEADLINE_SLACK_MS = 500;

/** A call that passed its deadline is not tried again by the client: its caller knows better whether and when. */
const ONCE = {
  // Never throws at once: etcd3 catches only what is rejected, also in the error listener of a stream.
  execute: async <T>(call: (context: object) => T) => await call({}),
  onSuccess: noEvent,
  onFailure: noEvent,
};

function noEvent(): { dispose: () => void } {
  return { dispose: () => undefined };
}

/** What a member says, or gRPC in its stead, that does not answer or has no leader. */
const SILENCE = [GRPCUnavailableError, GRPCDeadlineExceededError, GRPCCancelledError, GRPCInternalError];

/** etcd3 tries the next member when a call is refused here, before it was made. */
function onlyAwake(members: EtcdMembers, host: string): object {
  const execute = async <T>(call: (context: object) => T): Promise<Awaited<T>> => {
    if (members.isResting(host)) throw new Error(`${host} did not answer lately`);
    try {
      const answer = await call({});
      members.answered(host);
      return answer;
    } catch (error) {
      if (SILENCE.some((type) => error instanceof type)) members.failed(host);
      throw error;
    }
  };
  return { execute, onSuccess: noEvent, onFailure: noEvent };
}

export const CHANNEL_OPTIONS = {
  // grpc-js shares connections between clients; a stalled one would stall them all.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
};

/** etcd3's retries, circuit breakers and its default of no deadline at all are switched off. */
export function createClient({ hosts, tls, user, password }: EtcdOptions, members: EtcdMembers): Etcd3 {
  const faultHandling = {
    global: ONCE,
    host: (url: string) => onlyAwake(members, url.replace(/^https?:\/\//, '')),
    watchBackoff: constantBackoff(500),
  } as unknown as NonNullable<IOptions['faultHandling']>;
  const pem = (path: string): Buffer => readFileSync(path);
  return new Etcd3({
    hosts: hosts.map((host) => `${tls === null ? 'http' : 'https'}://${host}`),
    ...(tls === null
      ? {}
      : {
          credentials: {
            rootCertificate: pem(tls.ca),
            ...(tls.cert === null || tls.key === null ? {} : { certChain: pem(tls.cert), privateKey: pem(tls.key) }),
          },
        }),
    ...(user === null ? {} : { auth: { username: user, password: password ?? '' } }),
    grpcOptions: CHANNEL_OPTIONS,
    faultHandling,
    defaultCallOptions: ({ isStream }) => (isStream ? {} : { deadline: Date.now() + CALL_DEADLINE_MS }),
  });
}

/** For calls that etcd3 has not. */
export function channelCredentials({ tls }: EtcdOptions): ChannelCredentials {
  if (tls === null) return credentials.createInsecure();
  const pem = (path: string | null): Buffer | null => (path === null ? null : readFileSync(path));
  return credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert));
}

function constantBackoff(duration: number): object {
  const backoff: { duration: number; next: () => object } = { duration, next: () => backoff };
  return backoff;
}

/**
 * Every call to etcd goes through here.
 *
 * @param what e.g. `register the node`
 * @throws CodedError UNAVAILABLE `etcd does not answer: …`
 */
export async function ask<T>(what: string, call: Promise<T>, deadlineMs = CALL_DEADLINE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs + DEADLINE_SLACK_MS);
  });
  try {
    return await Promise.race([call, late]);
  } catch (error) {
    throw new CodedError(
      'UNAVAILABLE',
      `etcd does not answer: could not ${what}: ${plainReason(errorMessage(error))}`,
      {
        cause: error,
      },
    );
  } finally {
    clearTimeout(timer);
  }
}
