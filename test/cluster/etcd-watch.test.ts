import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createClient } from '../../src/cluster/etcd-client.ts';
import { EtcdMembers } from '../../src/cluster/etcd-members.ts';
import { KEYS } from '../../src/cluster/etcd-records.ts';
import { EtcdWatch, listAgainMs, type Listed } from '../../src/cluster/etcd-watch.ts';
import type { CoordinatorView } from '../../src/cluster/ports.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { SILENT } from '../../src/lib/log.ts';
import { ETCD_MISSING, ETCD_START_MS, startEtcd, type Etcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';

const CHANGES = 40;
/** So much later is told what nobody waits for. */
const PATIENCE_MS = 200;

/** Only events can tell after the first two lists: no later one is answered. */
function onlyTwice(listed: Listed, count: number): Promise<Listed> | Listed {
  return count <= 2 ? listed : new Promise(() => undefined);
}

test.each([
  [0, 2_000],
  [200, 2_000],
  [500, 5_000],
  [5_000, 10_000],
])('the keys of %i nodes are listed again after %i ms', (nodes, ms) => expect(listAgainMs(nodes)).toBe(ms));

describe.skipIf(ETCD_MISSING !== null)('a watch of the keys of a cluster', { timeout: 60_000 }, () => {
  let etcd: Etcd;
  let clusters = 0;
  beforeAll(async () => void (etcd = await startEtcd()), ETCD_START_MS);
  afterAll(() => etcd[Symbol.asyncDispose]());

  /** @param around is given each list, as etcd answered it, and returns what the watch is to get */
  function watched(around: (listed: Listed, count: number) => Promise<Listed> | Listed = (listed) => listed) {
    const options = { hosts: [etcd.host], cluster: `w${++clusters}`, tls: null, user: null, password: null };
    const client = createClient(options, new EtcdMembers(options.hosts));
    const keys = client.namespace(`/${options.cluster}/`);
    const lists = { count: 0 };
    const list = async (): Promise<Listed> => {
      const { header, kvs } = await keys.getAll().exec();
      const entries = kvs.map(({ key, value, create_revision: createRevision }) => {
        const name = key.toString().replace(`/${options.cluster}/`, '');
        return [name, { key: name, value: value.toString(), createRevision }] as const;
      });
      return around({ revision: BigInt(header.revision), entries: new Map(entries) }, ++lists.count);
    };
    const watch = new EtcdWatch(keys, list, (key) => key !== KEYS.inhibit, SILENT);
    const views: { view: CoordinatorView | null; atMs: number }[] = [];
    const subscription = watch.add((view) => views.push({ view, atMs: nowMs() }));
    onTestFinished(() => {
      subscription.close();
      client.close();
    });
    const nominate = (nodeId: string) => keys.put(KEYS.nomination).value(JSON.stringify({ nodeId })).exec();
    const nominated = () => views.map(({ view }) => view?.nomination?.nodeId ?? null);
    return { keys, lists, views, nominate, nominated };
  }

  /** Until its stream stands: it was listed again for that, and events come. What was told until then is forgotten. */
  async function settled({ keys, lists, views, nominate, nominated }: ReturnType<typeof watched>): Promise<void> {
    await eventually(() => expect(lists.count).toBeGreaterThanOrEqual(2));
    await eventually(async () => {
      await nominate('nobody');
      expect(nominated()).toContain('nobody');
    });
    await keys.delete().key(KEYS.nomination).exec();
    await eventually(() => expect(nominated().at(-1)).toBeNull());
    views.splice(0, views.length - 1);
  }

  test('tells changes in their order without listing anything', async () => {
    const watch = watched(onlyTwice);
    await settled(watch);
    for (let i = 1; i <= CHANGES; i++) await watch.nominate(`n${i}`);
    await eventually(() => expect(watch.nominated().at(-1)).toBe(`n${CHANGES}`));
    await watch.keys.delete().key(KEYS.nomination).exec();
    await eventually(() => expect(watch.nominated().at(-1)).toBeNull());
    const told = watch.nominated().filter((id) => id !== null);
    const numbers = told.map((id) => Number(id.slice(1)));
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  test('a transaction is one change', async () => {
    const watch = watched();
    await settled(watch);
    const lock = `${KEYS.election}/1`;
    const node = JSON.stringify({ nodeId: 'a', address: 'a:1', incarnation: 1, roles: ['candidate'] });
    await watch.keys.put(lock).value(node).exec();
    const { kvs } = await watch.keys.get(lock).exec();
    const term = { term: 1, nodeId: 'a', incarnation: 1, revision: kvs[0]!.create_revision };
    await watch.keys.put(KEYS.term).value(JSON.stringify(term)).exec();
    await eventually(() => expect(watch.views.at(-1)?.view?.master?.term).toBe(1));
    const put = watch.keys.put(KEYS.nomination).value(JSON.stringify({ nodeId: 'b' }));
    await watch.keys.if(lock, 'Create', '>', 0).then(watch.keys.delete().key(lock), put).commit();
    await eventually(() => expect(watch.nominated().at(-1)).toBe('b'));
    const halves = watch.views.map(({ view }) => [view?.master?.term ?? null, view?.nomination?.nodeId ?? null]);
    expect(halves).not.toContainEqual([1, 'b']);
    expect(halves.at(-1)).toEqual([null, 'b']);
    expect(halves.slice(0, -1)).not.toContainEqual([null, 'b']);
  });

  test('a change that comes while a list is on its way is not lost by its answer', async () => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    const watch = watched(async (listed, count) => {
      if (count !== 3) return listed;
      asked.resolve();
      await answer.promise;
      return listed;
    });
    await settled(watch);
    await watch.nominate('before');
    await asked.promise;
    await watch.nominate('meanwhile');
    await eventually(() => expect(watch.nominated().at(-1)).toBe('meanwhile'));
    const told = watch.views.length;
    answer.resolve();
    await eventually(() => expect(watch.lists.count).toBe(4));
    expect(watch.nominated().slice(told - 1)).toEqual(['meanwhile']);
  });

  test('an event that a list has shown already changes nothing', async () => {
    // As if the third list had shown the first change after it, and what undid that.
    const watch = watched((listed, count) => {
      return count === 3 ? { ...listed, revision: listed.revision + 1n } : onlyTwice(listed, count);
    });
    await settled(watch);
    await eventually(() => expect(watch.lists.count).toBe(3));
    await watch.keys.put(KEYS.inhibit).value('{}').exec();
    await watch.nominate('a');
    await eventually(() => expect(watch.nominated().at(-1)).toBe('a'));
    expect(watch.views.at(-1)?.view?.inhibit).toBeNull();
  });

  test('what nobody waits for is told later, unless something comes that somebody waits for', async () => {
    const watch = watched(onlyTwice);
    await settled(watch);
    const inhibited = () => watch.views.filter(({ view }) => view?.inhibit !== null);
    const putMs = nowMs();
    await watch.keys.put(KEYS.inhibit).value('{}').exec();
    await eventually(() => expect(inhibited()).toHaveLength(1));
    // Timers have a grain of a millisecond.
    expect(inhibited()[0]!.atMs - putMs).toBeGreaterThanOrEqual(PATIENCE_MS - 1);
    await watch.keys.put(KEYS.inhibit).value('{"reason":"again"}').exec();
    await watch.nominate('a');
    await eventually(() => expect(watch.nominated().at(-1)).toBe('a'));
    const [first, ...later] = inhibited().map(({ view }) => view!.inhibit!.reason);
    expect(first).toBe('');
    expect(new Set(later)).toEqual(new Set(['again']));
  });
});
