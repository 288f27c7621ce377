import type { ChannelOptions } from '@grpc/grpc-js';

/** Connections that carry worker sessions, and servers that accept them. */

export interface Keepalive {
  /** A ping goes out this long after the last sign of life. */
  timeMs: number;
  /** A ping that is not answered for this long ends the connection. */
  timeoutMs: number;
}

/** Of a worker: notices a frozen master within 1.5 s and a round trip. */
export const SESSION_KEEPALIVE: Keepalive = { timeMs: 1000, timeoutMs: 500 };

/**
 * Of the server, whose connections are those of clients, too: a client that stands still for some seconds keeps its watch. That a
 * worker is silent, its master knows sooner: it pings all the time.
 */
export const SERVER_KEEPALIVE: Keepalive = { timeMs: 10_000, timeoutMs: 5_000 };

/**
 * Either way. Three PEM files of 1 MiB, and a spec and plan of some MiB; a body comes in parts. Samples of a second are some
 * 10 KiB each; a worker sends what is not acknowledged in several messages.
 */
export const MAX_SESSION_MESSAGE_BYTES = 16 * 1024 * 1024;
/** Of the API on the same server: a task with its body of 64 MiB. */
const MAX_API_MESSAGE_BYTES = 80 * 1024 * 1024;

/** Of the reason for an end; in a status it travels in a header. */
export const MAX_WHY_LENGTH = 1000;

/** Metadata of the status with which a master of an older term refuses: the newer term, in decimal. */
export const NEWER_TERM = 'gostress-newer-term';

function keepaliveOptions({ timeMs, timeoutMs }: Keepalive): ChannelOptions {
  return {
    'grpc.keepalive_time_ms': timeMs,
    'grpc.keepalive_timeout_ms': timeoutMs,
    'grpc.keepalive_permit_without_calls': 1,
  };
}

/**
 * For the `grpc.Server` that serves sessions; what it may send and receive is for the API's sake. Never
 * add `grpc.enable_channelz: 0`: grpc-js then forgets the server's connections, and `forceShutdown` leaves them open.
 */
export function sessionServerOptions(keepalive: Keepalive = SERVER_KEEPALIVE): ChannelOptions {
  return {
    ...keepaliveOptions(keepalive),
    'grpc.max_receive_message_length': MAX_API_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_API_MESSAGE_BYTES,
  };
}

export function sessionChannelOptions(keepalive: Keepalive): ChannelOptions {
  return {
    ...keepaliveOptions(keepalive),
    'grpc.max_receive_message_length': MAX_SESSION_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_SESSION_MESSAGE_BYTES,
    // A session that is opened anew gets a connection of its own, not one that another client has found to be fine.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    // Nodes reach each other directly, whatever the environment says of proxies; their names need no TXT records.
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
  };
}
