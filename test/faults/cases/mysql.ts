import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { FENCE_RETRY_MS, LEADERLESS_MS, type Fault } from '../fault.ts';
import type { Scene } from '../scene.ts';

const BACK = 12;

/** All of its InnoDB, without room to grow beyond it: what a full disk is to it. */
const SMALL_DISK = ['--innodb-file-per-table=OFF', '--innodb-data-file-path=ibdata1:12M:autoextend:max:48M'];

async function fillMysql({ cluster: { mariadb } }: Scene): Promise<void> {
  await mariadb.query('create table gostress.filler (id int auto_increment primary key, bytes longblob) engine=innodb');
  for (const bytes of [512 * 1024, 8 * 1024]) {
    for (;;) {
      try {
        await mariadb.query(`insert into gostress.filler (bytes) values (repeat('x', ${bytes}))`);
      } catch (error) {
        expect(String(error)).toMatch(/full/i);
        break;
      }
    }
  }
}

export const MYSQL: readonly Fault[] = [
  {
    name: 'F10 MySQL is killed and started again after 5 s: samples wait, and nothing is lost',
    seconds: 15 + BACK,
    act: (scene) => scene.without('mysql', 'kill', () => sleep(5_000)),
  },
  {
    name: 'F10 MySQL is frozen for 15 s: samples wait, and nothing is lost',
    seconds: 20 + BACK,
    act: (scene) => scene.without('mysql', 'freeze', () => sleep(15_000)),
  },
  {
    name: 'F10 MySQL is frozen when the master is killed: the next one leads when the fence can be raised',
    seconds: 50,
    leaderlessMs: LEADERLESS_MS + 10_000 + FENCE_RETRY_MS,
    pauses: true,
    async act(scene) {
      const { nodeId, term } = await scene.master();
      await scene.without('mysql', 'freeze', async () => {
        await scene.kill(nodeId);
        await sleep(10_000);
      });
      await scene.master(term);
      await scene.restart(nodeId);
    },
  },
  {
    name: 'F10 connections to MySQL are killed, ten times: each statement is tried again',
    seconds: 10 + BACK,
    async act({ cluster: { mariadb } }) {
      for (let i = 0; i < 10; i++) {
        const own = `select id from information_schema.processlist where user = 'gostress' and db = 'gostress'`;
        for (const { id } of await mariadb.query(own)) await mariadb.query(`kill ${String(id)}`).catch(() => undefined);
        await sleep(300);
      }
    },
  },
  {
    name: 'F10 MySQL has no room for a row more: samples wait until it has, and nothing is lost',
    mariadbArgs: SMALL_DISK,
    seconds: 20 + BACK,
    async act(scene) {
      await fillMysql(scene);
      await sleep(8_000);
      await scene.cluster.mariadb.query('drop table gostress.filler');
    },
  },
];
