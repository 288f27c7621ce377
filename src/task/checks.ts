import { compile, type JSONPathQuery } from 'json-p3';
import { errorMessage, invalid } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import type { CheckSpec } from './spec.ts';

/** A range of statuses, both ends included. */
export interface StatusRange {
  min: number;
  max: number;
}

/** What passes when a task has no status check. */
export const DEFAULT_STATUS: Extract<CheckSpec, { kind: 'status' }> = { kind: 'status', status: ['200-399'] };

const MAX_LABEL_LENGTH = 80;

/** `200`, or `200-399`. @throws CodedError INVALID_INPUT */
export function parseStatusItem(text: string): StatusRange {
  const [, low, high = low] = /^([1-9]\d\d)(?:-([1-9]\d\d))?$/.exec(text) ?? [];
  const min = Number(low);
  const max = Number(high);
  if (low === undefined || min > max) {
    throw invalid(`expected a status like 200 or a range like "200-299", found ${show(text)}`);
  }
  return { min, max };
}

/** A JavaScript regular expression with the `u` flag. @throws CodedError INVALID_INPUT */
export function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text, 'u');
  } catch (error) {
    throw invalid(`expected a regular expression, found ${show(text)}: ${errorMessage(error)}`, error);
  }
}

/** A JSONPath of RFC 9535. @throws CodedError INVALID_INPUT */
export function parseJsonPath(text: string): JSONPathQuery {
  try {
    return compile(text);
  } catch (error) {
    throw invalid(`expected a JSONPath like "$.code", found ${show(text)}: ${errorMessage(error)}`, error);
  }
}

/** Names a check in samples and reports, e.g. `status 200-399`, `body contains "ok"`; at most 80 characters. */
export function checkLabel(check: CheckSpec): string {
  const label = fullLabel(check);
  return label.length <= MAX_LABEL_LENGTH ? label : `${label.slice(0, MAX_LABEL_LENGTH - 1)}…`;
}

function fullLabel(check: CheckSpec): string {
  switch (check.kind) {
    case 'status':
      return `status ${check.status.join(', ')}`;
    case 'bodyContains':
      return `body contains ${JSON.stringify(check.text)}`;
    case 'bodyMatches':
      return `body matches /${check.pattern}/`;
    case 'jsonPath':
      return `${check.path} == ${JSON.stringify(check.equals)}`;
    case 'maxSize':
      return `size <= ${check.bytes}`;
    case 'maxLatency':
      return `latency <= ${check.ms}ms`;
    case 'verify':
      return `verify ${check.verify}`;
  }
}
