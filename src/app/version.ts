import { readFileSync } from 'node:fs';

/** Version of GoStress. package.json is two folders up from the sources and from what is built of them. */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
