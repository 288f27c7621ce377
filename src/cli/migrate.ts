import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { readConfig } from '../app/config.ts';
import { addConfigFlags, configSources } from './config-flags.ts';
import { nodeLog } from './node.ts';
import { writeText } from './output.ts';

/** `gostress migrate`: the tables of the cluster's database. */
export function migrateCommand(): CommandUnknownOpts {
  const command = new Command('migrate').description(
    'Bring the tables in MySQL up to date; candidates do it at their start too, one at a time',
  );
  addConfigFlags(command, ['mysqlUrl', 'clusterName', 'logLevel', 'logFormat']);
  return command.action(async (options) => {
    const { config } = await readConfig(configSources(options, 'migrate'));
    const { migrate } = await import('../app/migrate.ts');
    const done = await migrate(config, nodeLog(config));
    const text = done.length === 0 ? 'the tables are up to date\n' : done.map((name) => `done: ${name}\n`).join('');
    await writeText(process.stdout, 'standard output', text);
  });
}
