import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { PermitHolder, permitUntilMs } from '../../src/cluster/permit.ts';
import { DEFAULT_TIMINGS } from '../../src/cluster/timings.ts';
import { nowMs } from '../../src/lib/clock.ts';

const until = (sentMs: number, leaseUntilMs: number) => permitUntilMs({ sentMs, leaseUntilMs }, DEFAULT_TIMINGS);

describe('a permit', () => {
  test.each([
    ['counts 2 s from the send of the echoed ping, without a lease', 1_000, -Infinity, 3_000],
    ['lasts as long as the own lease', 1_000, 7_500, 7_500],
    ['lasts 2 s even if the lease ends before', 1_000, 1_500, 3_000],
    ['lasts no longer than 30 s by the lease', 1_000, 90_000, 31_000],
    ['is none without any echo', -Infinity, 90_000, -Infinity],
  ])('%s', (_, sentMs, leaseUntilMs, expected) => {
    expect(until(sentMs, leaseUntilMs)).toBe(expected);
  });
});

describe('the holder of a permit', () => {
  const timings = DEFAULT_TIMINGS;
  const lease = (forMs: number) => {
    const untilMs = nowMs() + forMs;
    return { validUntilMs: () => untilMs };
  };

  test('has none before the first echo', () => {
    const holder = new PermitHolder(timings);
    holder.hold(lease(60_000));
    expect(holder.validUntilMs()).toBe(0);
    expect(holder.missingForMs()).toBeGreaterThanOrEqual(0);
  });

  test('writes the deadline into the shared cell', () => {
    const holder = new PermitHolder(timings);
    const sentMs = nowMs();
    holder.echoed(sentMs);
    expect(new Float64Array(holder.cell)[0]).toBe(sentMs + timings.permitMs);
    expect(holder.missingForMs()).toBe(0);
  });

  test('an echo that comes late, or twice, prolongs nothing', () => {
    const holder = new PermitHolder(timings);
    const sentMs = nowMs();
    holder.echoed(sentMs);
    holder.echoed(sentMs - 1_000);
    expect(holder.validUntilMs()).toBe(sentMs + timings.permitMs);
  });

  test('an echo of a ping that was not sent yet is ignored', () => {
    const holder = new PermitHolder(timings);
    holder.echoed(nowMs() + 60_000);
    holder.echoed(NaN);
    expect(holder.validUntilMs()).toBe(0);
  });

  test('the lease prolongs it while it is renewed, up to 30 s after the ping', () => {
    const holder = new PermitHolder(timings);
    let untilMs = nowMs() + 5_000;
    holder.hold({ validUntilMs: () => untilMs });
    const sentMs = nowMs();
    holder.echoed(sentMs);
    expect(holder.validUntilMs()).toBe(untilMs);
    untilMs += 2_000;
    holder.refresh();
    expect(holder.validUntilMs()).toBe(untilMs);
    untilMs += 60_000;
    holder.refresh();
    expect(holder.validUntilMs()).toBe(sentMs + timings.permitOnLeaseMs);
  });

  test('a lost lease ends it 2 s after the ping', () => {
    const holder = new PermitHolder(timings);
    holder.hold(lease(20_000));
    const sentMs = nowMs();
    holder.echoed(sentMs);
    holder.hold(null);
    expect(holder.validUntilMs()).toBe(sentMs + timings.permitMs);
  });

  test('a new lease does not revive a permit of the time before it', () => {
    const holder = new PermitHolder(timings);
    const sentMs = nowMs() - 1;
    holder.echoed(sentMs);
    holder.hold(lease(60_000));
    expect(holder.validUntilMs()).toBe(sentMs + timings.permitMs);
    const laterMs = nowMs();
    holder.echoed(laterMs);
    expect(holder.validUntilMs()).toBe(laterMs + timings.permitOnLeaseMs);
  });

  test('can be ended until the next echo', () => {
    const holder = new PermitHolder(timings);
    holder.hold(lease(60_000));
    holder.echoed(nowMs());
    holder.revoke();
    expect(holder.validUntilMs()).toBe(0);
    holder.echoed(nowMs());
    expect(holder.validUntilMs()).toBeGreaterThan(nowMs());
  });

  test('that was ended is missing since then, not since the start of the process', async () => {
    const holder = new PermitHolder(timings);
    await sleep(200);
    holder.echoed(nowMs());
    const endedAtMs = nowMs();
    holder.revoke();
    expect(holder.missingForMs()).toBeLessThanOrEqual(nowMs() - endedAtMs);
    await sleep(50);
    const missingForMs = holder.missingForMs();
    expect(missingForMs).toBeGreaterThanOrEqual(45);
    holder.revoke();
    expect(holder.missingForMs()).toBeGreaterThanOrEqual(missingForMs);
  });

  test('that was over when it was ended is missing since it was over', () => {
    const holder = new PermitHolder(timings);
    const sentMs = nowMs() - timings.permitMs - 500;
    holder.echoed(sentMs);
    holder.revoke();
    // The holder itself is younger than that.
    expect(holder.missingForMs()).toBeLessThan(500);
  });
});
