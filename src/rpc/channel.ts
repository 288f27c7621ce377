import { Client, credentials, Metadata, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import { sessionChannelOptions } from './session-options.ts';

/** Metadata of a call that a node forwards: the node's id. Such a call is not forwarded again. */
export const HOP = 'gostress-forwarded-by';

/** A task with its body of 64 MiB. */
const MAX_API_MESSAGE_BYTES = 80 * 1024 * 1024;

/** A frozen peer is noticed within some seconds, also by a stream on which nothing comes. */
const KEEPALIVE = { timeMs: 3_000, timeoutMs: 3_000 };

const asIs = (bytes: Buffer): Buffer => bytes;

/** A connection to one address, made when it is used; messages are bytes. Rejects with what grpc-js throws. */
export class Channel implements Disposable {
  readonly address: string;
  readonly #client: Client;

  constructor(address: string) {
    this.address = address;
    this.#client = new Client(address, credentials.createInsecure(), {
      ...sessionChannelOptions(KEEPALIVE),
      'grpc.max_receive_message_length': MAX_API_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_API_MESSAGE_BYTES,
      // A node that starts anew is found soon.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.min_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
    });
  }

  unary(path: string, request: Buffer, deadlineMs: number, hop: string | null): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, response?: Buffer): void => {
        if (error === null) resolve(response!);
        else reject(error);
      };
      const options = { deadline: Date.now() + deadlineMs };
      this.#client.makeUnaryRequest(path, asIs, asIs, request, metadataOf(hop), options, done);
    });
  }

  /** Reads no further than the consumer does. Ends without an error when the signal aborts. */
  async *stream(path: string, request: Buffer, signal: AbortSignal, hop: string | null): AsyncGenerator<Buffer> {
    if (signal.aborted) return;
    const call: ClientReadableStream<Buffer> = this.#client.makeServerStreamRequest(
      path,
      asIs,
      asIs,
      request,
      metadataOf(hop),
    );
    // An error that comes while nobody reads is thrown by the next read.
    call.on('error', () => undefined);
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel);
    try {
      for await (const bytes of call as AsyncIterable<Buffer>) yield bytes;
    } catch (error) {
      if (!isAborted(signal)) throw error;
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Asked again after a wait, which the type checker does not see. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function metadataOf(hop: string | null): Metadata {
  const metadata = new Metadata();
  if (hop !== null) metadata.set(HOP, hop);
  return metadata;
}
