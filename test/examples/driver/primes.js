// A driver of one's own: counts primes, a range at a time, on all workers. See README.md beside it.
import { Buffer } from 'node:buffer';
import { env } from 'node:process';
import { clearInterval, setInterval } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import { registerMasterDriver, registerWorkerDriver } from 'gostress';

const BELOW = Number(env.PRIMES_BELOW ?? 1_000_000);
const RANGE = 10_000;
const IN_FLIGHT = 2;

const encode = (message) => Buffer.from(JSON.stringify(message));
const decode = (payload) => JSON.parse(Buffer.from(payload).toString());

registerMasterDriver('primes', () => ({
  async run(context) {
    /** First number of a range → its primes; → the process that counts it. */
    const counts = new Map();
    const owners = new Map();
    const giveBack = (test) => {
      for (const [from, owner] of owners) if (test(from, owner)) owners.delete(from);
    };

    // Listeners come before the first await. Adding a count twice is impossible: it is stored by its range.
    context.onMessage((_, payload) => {
      const { from, count } = decode(payload);
      owners.delete(from);
      counts.set(from, count);
    });
    // A worker tells with each Hello what it has: what it does not have was lost on the way.
    context.onHello((worker, state) => {
      const has = new Set(decode(state));
      giveBack((from, owner) => owner.nodeId === worker.nodeId && !has.has(from));
    });

    const pass = () => {
      giveBack((_, owner) => context.standingOf(owner) === 'gone');
      const members = context.members().filter((each) => each.standing === 'live' && !each.leaving && !each.draining);
      for (const { node } of members) {
        let free = IN_FLIGHT - [...owners.values()].filter(({ nodeId }) => nodeId === node.nodeId).length;
        for (let from = 0; from < BELOW && free > 0 && context.mayAct(); from += RANGE) {
          if (counts.has(from) || owners.has(from)) continue;
          if (!context.send(node, encode({ from, to: Math.min(BELOW, from + RANGE) }))) break;
          owners.set(from, node);
          free--;
        }
      }
      if (counts.size < Math.ceil(BELOW / RANGE)) return;
      clearInterval(timer);
      const primes = [...counts.values()].reduce((a, b) => a + b, 0);
      context.log.info({ below: BELOW, primes }, 'counted');
    };
    const timer = setInterval(pass, 20);
    await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
    clearInterval(timer);
  },
}));

registerWorkerDriver('primes', () => {
  /** First number of a range → its end. */
  const ranges = new Map();
  return {
    hello: () => encode([...ranges.keys()]),
    running: () => ranges.size,
    async run(context) {
      context.onMessage((payload) => {
        const { from, to } = decode(payload);
        ranges.set(from, to);
      });
      while (!context.signal.aborted && !(context.draining.aborted && ranges.size === 0)) {
        for (const [from, to] of ranges) {
          const count = countPrimes(from, to);
          if (context.send(encode({ from, count }))) ranges.delete(from);
          break;
        }
        // Leases and heartbeats live on this thread as well: work in small bites, or in threads.
        await sleep(1);
      }
    },
  };
});

function countPrimes(from, to) {
  let count = 0;
  for (let n = Math.max(2, from); n < to; n++) if (isPrime(n)) count++;
  return count;
}

function isPrime(n) {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return true;
}
