import { writeFileSync } from 'node:fs';

/** Where a benchmark tells its tables, and at last its JSON: the JSON in a file, or else on stdout with the tables on stderr. */
export function outputTo(jsonFile: string | null): { say: (text: string) => void; end: (result: object) => void } {
  const out = jsonFile === null ? process.stderr : process.stdout;
  return {
    say: (text) => void out.write(`${text}\n`),
    end(result) {
      const json = `${JSON.stringify({ at: new Date().toISOString(), ...result }, null, 2)}\n`;
      if (jsonFile === null) process.stdout.write(json);
      else writeFileSync(jsonFile, json);
    },
  };
}
