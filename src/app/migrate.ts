import type { Log } from '../lib/log.ts';
import { openMysqlStore } from '../store/mysql.ts';
import type { NodeConfig } from './config.ts';

/**
 * Brings the tables of the cluster's database up to date.
 *
 * @returns the names of the migrations that were done now
 * @throws CodedError
 */
export async function migrate({ mysqlUrl, clusterName }: NodeConfig, log: Log): Promise<string[]> {
  const store = openMysqlStore({ url: mysqlUrl ?? '', cluster: clusterName, log });
  try {
    return await store.migrate();
  } finally {
    await store.close();
  }
}
