import { nowMs } from '../lib/clock.ts';

/** A member that did not answer is not asked for so long, while there is another one. */
const REST_MS = 5_000;

/**
 * Which members of etcd answer. etcd3 asks one of them at random for each call, and a call that failed is not tried elsewhere:
 * without this, with one of three members gone, every third call would fail, and of the calls that make a node master, done one
 * after the other, hardly any series would succeed.
 */
export class EtcdMembers {
  readonly #hosts: readonly string[];
  readonly #restUntilMs = new Map<string, number>();
  #next = 0;

  /** @param hosts `host:port` of each */
  constructor(hosts: readonly string[]) {
    this.#hosts = hosts;
  }

  /** Another one should be asked; false for all of them when none has answered lately. */
  isResting(host: string): boolean {
    return this.#rests(host) && !this.#hosts.every((each) => this.#rests(each));
  }

  /** One after another, those that rest left out. */
  next(): string {
    const awake = this.#hosts.filter((host) => !this.isResting(host));
    return awake[this.#next++ % awake.length]!;
  }

  answered(host: string): void {
    this.#restUntilMs.delete(host);
  }

  /** It did not answer a call, or not in time. */
  failed(host: string): void {
    this.#restUntilMs.set(host, nowMs() + REST_MS);
  }

  #rests(host: string): boolean {
    return nowMs() < (this.#restUntilMs.get(host) ?? 0);
  }
}
