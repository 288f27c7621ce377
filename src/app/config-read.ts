import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { CodedError, systemReason } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { nearest } from '../lib/suggest.ts';
import { describeIssue, formatPath, problemsOf, unknownKey, type Path } from '../task/problems.ts';
import { readYaml } from '../task/yaml.ts';
import {
  CONFIG_KEYS,
  CONFIG_NAMES,
  configInput,
  flagOf,
  variableOf,
  type ConfigInput,
  type ConfigName,
} from './config-keys.ts';
import type { ConfigSources } from './config.ts';

/** What the sources say, each key checked by itself. */
export interface Given {
  input: ConfigInput;
  isStandalone: boolean;
  problems: string[];
  warnings: readonly string[];
  /** Something was given, be it right or wrong. */
  has: (key: ConfigName) => boolean;
  /** A problem's line about a key, or a part of its value, with the place where that was found. */
  at: (key: ConfigName, problem: string, below?: Path) => string;
  /** The line about a key that is not there. */
  missing: (key: ConfigName, expected: string) => string;
}

interface Found {
  value: unknown;
  /** What a line about the key, or about a part of it, begins with. */
  place: (below: Path) => string;
}

/** Read by the command line, not by a node. */
const OTHER_VARIABLES = ['GOSTRESS_CLUSTER', 'GOSTRESS_CONFIG'];

/** @throws CodedError USAGE when the file is not there or no YAML */
export async function readConfigInput(sources: ConfigSources): Promise<Given> {
  const problems: string[] = [];
  const found = new Map<ConfigName, Found>();
  const file = sources.file ?? sources.env.GOSTRESS_CONFIG ?? null;
  if (file !== null) await addFile(file, sources.file === null ? 'GOSTRESS_CONFIG' : '--config', found, problems);
  for (const key of CONFIG_NAMES) {
    const text = sources.env[variableOf(key)];
    if (text !== undefined && text !== '') addText(key, text, variableOf(key), found);
    const flag = sources.flags[key];
    if (flag !== undefined) addText(key, typeof flag === 'object' ? flag.join(',') : flag, flagOf(key), found);
  }
  const input: Record<string, unknown> = {};
  for (const [key, { value, place }] of found) {
    const result = configInput.shape[key].safeParse(value, { error: describeIssue });
    if (result.success) input[key] = result.data;
    else {
      for (const { path: below, message } of problemsOf(result.error.issues, [])) {
        problems.push(`${place(below)}: ${message}`);
      }
      if (key === 'timings') input[key] = goodTimings(value);
    }
  }
  const missing = (key: ConfigName, expected: string): string =>
    `${key}: expected ${expected}, found nothing; it is ${key} in the config file, ${variableOf(key)} or ${flagOf(key)}`;
  return {
    input: input,
    isStandalone: sources.purpose === 'server' || (sources.purpose === 'node' && input.standalone === true),
    problems,
    warnings: unknownVariables(sources.env),
    has: (key) => found.has(key),
    at: (key, problem, below = []) => `${found.get(key)?.place(below) ?? formatPath([key, ...below])}: ${problem}`,
    missing,
  };
}

/** Of timings some of which are wrong, the others: what they lean on is judged at the same time. */
function goodTimings(value: unknown): ConfigInput['timings'] {
  if (typeof value !== 'object' || value === null) return {};
  const each = Object.entries(value).map(([name, text]) =>
    configInput.shape.timings.safeParse({ [name]: text as unknown }),
  );
  return Object.assign({}, ...each.map(({ data }) => data ?? {})) as ConfigInput['timings'];
}

async function addFile(file: string, source: string, found: Map<ConfigName, Found>, problems: string[]): Promise<void> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new CodedError('USAGE', `${source}: cannot read ${show(file)}: ${systemReason(error)}`);
  }
  const { value, offsetOf, place } = readYaml(text, file);
  if (value === null) return;
  if (typeof value !== 'object' || Array.isArray(value)) {
    problems.push(`${file}: expected a map of keys like "listen: 127.0.0.1:7420", found ${show(value)}`);
    return;
  }
  for (const [key, item] of Object.entries(value)) {
    const at = place(offsetOf([key]));
    if (!isName(key)) problems.push(`${at} ${formatPath([key])}: ${unknownKey(key, CONFIG_NAMES)}`);
    // An empty value is no value.
    else if (item !== null) {
      found.set(key, {
        value: beside(file, key, item),
        place: (below) => `${place(offsetOf([key, ...below]))} ${formatPath([key, ...below])}`,
      });
    }
  }
}

/** Files that a config file names lie beside it. */
function beside(file: string, key: ConfigName, value: unknown): unknown {
  const folder = path.dirname(file);
  const moved = (item: unknown): unknown =>
    typeof item === 'string' && item !== '' ? path.resolve(folder, item) : item;
  if (['etcdCa', 'etcdCert', 'etcdKey', 'dataFolder'].includes(key)) return moved(value);
  if (key === 'drivers' && Array.isArray(value)) return value.map(moved);
  return value;
}

function addText(key: ConfigName, text: string | boolean, name: string, found: Map<ConfigName, Found>): void {
  const place = ([part]: Path): string => (typeof part === 'string' ? `${name} ${formatPath([part])}` : name);
  found.set(key, { value: typeof text === 'boolean' ? text : valueOf(CONFIG_KEYS[key].kind, text), place });
}

/** What does not look like its kind is left as text, for the schema to complain of. */
function valueOf(kind: (typeof CONFIG_KEYS)[ConfigName]['kind'], text: string): unknown {
  const items = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  switch (kind) {
    case 'text':
      return text;
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
    case 'switch':
      return { true: true, 1: true, false: false, 0: false }[text.toLowerCase()] ?? text;
    case 'list':
      return items;
    case 'map':
      return Object.fromEntries(items.map((item) => [item.replace(/=.*$/s, ''), item.replace(/^[^=]*=?/, '')]));
  }
}

function unknownVariables(env: ConfigSources['env']): string[] {
  const known = [...CONFIG_NAMES.map(variableOf), ...OTHER_VARIABLES];
  return Object.keys(env)
    .filter((name) => name.startsWith('GOSTRESS_') && !known.includes(name))
    .map((name) => {
      const meant = nearest(name, known);
      return `${name}: unknown variable, not used${meant === null ? '' : `; did you mean ${meant}?`}`;
    });
}

function isName(key: string): key is ConfigName {
  return Object.hasOwn(CONFIG_KEYS, key);
}
