import * as z from 'zod';
import { invalid } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { parseSize } from '../lib/size.ts';
import { parseJsonPath, parsePattern, parseStatusItem } from './checks.ts';
import { duration, jsonValue, object, read, validText } from './fields.ts';
import type { CheckSpec } from './spec.ts';

const statusItem = read(
  z.union([z.string(), z.int().meta({ minimum: 100, maximum: 999 })], {
    error: ({ input }) => `expected a status like 200 or a range like "200-299", found ${show(input)}`,
  }),
  (item) => {
    parseStatusItem(String(item));
    return String(item);
  },
);

const size = read(
  z.union([z.string(), z.int().meta({ minimum: 0 })], {
    error: ({ input }) => `expected a size in bytes like 10240, "10KB" or "10KiB", found ${show(input)}`,
  }),
  (text) => parseSize(String(text)),
);

const fields = {
  status: z.array(statusItem).min(1).max(100).optional().meta({
    description: 'Statuses that pass: a status (200) or a range ("200-299"). Without a status check: 200 to 399',
  }),
  bodyContains: z.string().min(1).optional().meta({ description: 'Text that the body contains' }),
  bodyMatches: validText(parsePattern).optional().meta({
    description: 'JavaScript regular expression (u flag) that matches somewhere in the body',
  }),
  jsonPath: object({
    path: validText(parseJsonPath).meta({ description: 'RFC 9535 JSONPath, e.g. $.code' }),
    equals: jsonValue.meta({ description: 'Passes when some selected value equals this one' }),
  }).optional(),
  maxSize: size
    .optional()
    .meta({ description: 'Largest body in bytes; also "10KB" (1000 each) or "10KiB" (1024 each)' }),
  maxLatency: duration.optional().meta({ description: 'Longest service time' }),
  verify: z.enum(['statusCode', 'json']).optional().meta({
    description: 'statusCode: status 200. json: a JSON body whose field "code" equals 200',
  }),
};

/** One check: a map with exactly one key, its kind. */
export const checkInput = read(
  object(fields).meta({ minProperties: 1, maxProperties: 1, description: 'One check; exactly one key' }),
  (check): CheckSpec => {
    const given = Object.keys(check);
    if (given.length !== 1) {
      const found = given.length === 0 ? 'nothing' : given.join(' and ');
      throw invalid(`expected exactly one of ${Object.keys(fields).join(', ')}, found ${found}`);
    }
    if (check.status !== undefined) return { kind: 'status', status: check.status };
    if (check.bodyContains !== undefined) return { kind: 'bodyContains', text: check.bodyContains };
    if (check.bodyMatches !== undefined) return { kind: 'bodyMatches', pattern: check.bodyMatches };
    if (check.jsonPath !== undefined) return { kind: 'jsonPath', ...check.jsonPath };
    if (check.maxSize !== undefined) return { kind: 'maxSize', bytes: check.maxSize };
    if (check.maxLatency !== undefined) return { kind: 'maxLatency', ms: check.maxLatency };
    if (check.verify !== undefined) return { kind: 'verify', verify: check.verify };
    throw invalid(`expected exactly one of ${Object.keys(fields).join(', ')}, found nothing`);
  },
);
