import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { CONFIG_KEYS, CONFIG_NAMES, flagOf, variableOf, type ConfigName } from '../app/config-keys.ts';
import type { ConfigSources } from '../app/config.ts';

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

/** Gives a verb the flags of the config, which are those of its keys. */
export function addConfigFlags(command: CommandUnknownOpts, keys: readonly ConfigName[]): void {
  command.addOption(new Option('--config <file>', 'YAML file with these keys (also: GOSTRESS_CONFIG)'));
  for (const key of keys) {
    const { kind, value, help, byDefault } = CONFIG_KEYS[key];
    const repeatable = kind === 'list' || kind === 'map' ? '; repeatable' : '';
    const words = `${help}${repeatable} (${variableOf(key)}; default: ${byDefault})`;
    const option = new Option(`${flagOf(key)}${value === '' ? '' : ` ${value}`}`, words);
    if (repeatable !== '') option.argParser(collect);
    command.addOption(option);
  }
}

/** The keys that `gostress server` has. */
export const SERVER_KEYS = CONFIG_NAMES.filter((key) => CONFIG_KEYS[key].only !== 'node');

/** The sources of a config as the command line names them. */
export function configSources(
  opts: Readonly<Record<string, unknown>>,
  purpose: ConfigSources['purpose'],
): ConfigSources {
  const flags: Record<string, unknown> = {};
  for (const key of CONFIG_NAMES) {
    const name = flagOf(key)
      .slice(2)
      .replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (opts[name] !== undefined) flags[key] = opts[name];
  }
  const file = typeof opts.config === 'string' ? opts.config : null;
  return { file, env: process.env, flags: flags, purpose };
}
