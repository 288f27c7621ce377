import { fileURLToPath } from 'node:url';
import { Client, loadPackageDefinition, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { CHANNEL_OPTIONS, channelCredentials, type EtcdOptions } from './etcd-client.ts';
import type { EtcdMembers } from './etcd-members.ts';
import { CodedError } from '../lib/errors.ts';

/** Proof of leadership, as long as the key stands with this create_revision. */
export interface LeaderKey {
  key: string;
  rev: string;
}

interface CampaignRequest {
  name: Buffer;
  lease: string;
  value: Buffer;
}

interface CampaignResponse {
  leader: { key: Buffer; rev: string } | null;
}

interface ElectionClient extends Client {
  campaign(
    request: CampaignRequest,
    metadata: Metadata,
    options: { deadline: number },
    done: (error: ServiceError | null, response?: CampaignResponse) => void,
  ): { cancel(): void };
}

interface ElectionPackage {
  v3electionpb: { Election: new (...args: ConstructorParameters<typeof Client>) => ElectionClient };
}

/** etcd's own election service, called as it is: etcd3's classes around it are not safe for the master's lock. */
export class ElectionService {
  readonly #members: EtcdMembers;
  readonly #connect: (host: string) => ElectionClient;

  constructor(options: EtcdOptions, members: EtcdMembers) {
    // The proto folder stands beside src in the repository and beside dist in the package.
    const file = fileURLToPath(new URL('../../proto/etcd/election.proto', import.meta.url));
    const definition = loadSync(file, { keepCase: true, longs: String, defaults: true });
    const { v3electionpb } = loadPackageDefinition(definition) as unknown as ElectionPackage;
    const credentials = channelCredentials(options);
    this.#members = members;
    this.#connect = (host) => new v3electionpb.Election(host, credentials, CHANNEL_OPTIONS);
  }

  /** A connection for one campaign, dialled at once: on one that the network has forgotten a campaign looks like one that waits. */
  connect(): ElectionLine {
    // One member after another, so that one that is down is not asked for ever.
    const host = this.#members.next();
    return new ElectionLine(this.#connect(host), () => this.#members.failed(host));
  }
}

export class ElectionLine implements Disposable {
  readonly #client: ElectionClient;
  readonly #onFailure: () => void;

  constructor(client: ElectionClient, onFailure: () => void) {
    this.#client = client;
    this.#onFailure = onFailure;
    client.getChannel().getConnectivityState(true);
  }

  /**
   * Queues for the lock. The key stays in the queue until its lease ends: revoke the lease when null comes back.
   *
   * @param token of the user, when etcd asks for one
   * @returns null: the deadline passed, or the signal aborted
   * @throws CodedError UNAVAILABLE
   */
  campaign(
    request: { name: string; lease: string; value: string; token: string | null },
    { deadlineMs, signal }: { deadlineMs: number; signal: AbortSignal },
  ): Promise<LeaderKey | null> {
    const metadata = new Metadata();
    if (request.token !== null) metadata.set('token', request.token);
    return new Promise((resolve, reject) => {
      const call = this.#client.campaign(
        { name: Buffer.from(request.name), lease: request.lease, value: Buffer.from(request.value) },
        metadata,
        { deadline: Date.now() + deadlineMs },
        (error, response) => {
          signal.removeEventListener('abort', cancel);
          const leader = response?.leader ?? null;
          if (leader !== null) return resolve({ key: leader.key.toString(), rev: leader.rev });
          if (error?.code === status.DEADLINE_EXCEEDED || error?.code === status.CANCELLED) return resolve(null);
          const why = error?.details ?? 'an answer without a leader';
          this.#onFailure();
          reject(new CodedError('UNAVAILABLE', `etcd does not answer: could not campaign: ${why}`, { cause: error }));
        },
      );
      const cancel = (): void => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      if (signal.aborted) cancel();
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
