import { isDeepStrictEqual } from 'node:util';
import { checkLabel, DEFAULT_STATUS, parseJsonPath, parsePattern, parseStatusItem } from '../task/checks.ts';
import type { StatusRange } from '../task/checks.ts';
import type { CheckSpec, JsonValue, TaskSpec } from '../task/spec.ts';
import type { Answer } from './client.ts';

/** The longest body that a body check looks at; with a longer one the check fails. */
export const MAX_CHECKED_BODY_BYTES = 1024 * 1024;

/** A task's checks, compiled. */
export interface Verifier {
  /** One per check, all different. */
  readonly labels: readonly string[];
  /** Some check looks at the body: the client must keep it. */
  readonly needsBody: boolean;
  /** What the client must keep of a body: one byte more than a check looks at, so that a longer one is known. */
  readonly maxBodyBytes: number;
  /** The (implied) status check; a hit that fails it is classed `status`, one that fails only others `check`. */
  readonly statusIndex: number;
  /**
   * Judges a whole answer. Fills one flag per label (true: failed) and returns whether all checks passed.
   * Allocates nothing when they pass and none looks at the body.
   */
  verify(answer: Answer, serviceMs: number, failed: boolean[]): boolean;
  /** Says in words why a check failed this answer; few distinct texts, no measured values except the status. */
  explain(index: number, answer: Answer): string;
}

interface Check {
  readonly usesBody: boolean;
  passes(answer: Answer, serviceMs: number, content: Content): boolean;
}

/** @throws CodedError INVALID_INPUT when a status, pattern or JSONPath of a check is wrong */
export function compileChecks(spec: TaskSpec): Verifier {
  const specs = withStatus(distinct(spec.checks));
  const checks = specs.map(compileCheck);
  const labels = distinctLabels(specs.map(checkLabel));
  const content = new Content();
  const needsBody = checks.some((check) => check.usesBody);
  return {
    labels,
    needsBody,
    maxBodyBytes: MAX_CHECKED_BODY_BYTES + 1,
    statusIndex: specs.findIndex(isStatusCheck),
    verify(answer, serviceMs, failed) {
      if (needsBody) content.read(answer);
      let passed = true;
      for (let i = 0; i < checks.length; i++) {
        const failure = !checks[i]!.passes(answer, serviceMs, content);
        failed[i] = failure;
        if (failure) passed = false;
      }
      return passed;
    },
    explain(index, answer) {
      if (isStatusCheck(specs[index]!)) return `found status ${answer.status}, expected ${labels[index]!}`;
      if (!checks[index]!.usesBody) return `failed: ${labels[index]!}`;
      content.read(answer);
      checks[index]!.passes(answer, 0, content);
      return content.problem === null ? `failed: ${labels[index]!}` : `failed: ${labels[index]!} (${content.problem})`;
    },
  };
}

function isStatusCheck(check: CheckSpec): boolean {
  return check.kind === 'status' || (check.kind === 'verify' && check.verify === 'statusCode');
}

function withStatus(checks: CheckSpec[]): CheckSpec[] {
  return checks.some(isStatusCheck) ? checks : [DEFAULT_STATUS, ...checks];
}

/** The checks without repetitions: a check written twice is one. */
function distinct(checks: readonly CheckSpec[]): CheckSpec[] {
  return [...new Map(checks.map((check) => [JSON.stringify(check), check])).values()];
}

/** Labels that are cut may be alike: from the second on they get a number. */
function distinctLabels(labels: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return labels.map((label) => {
    const times = (seen.get(label) ?? 0) + 1;
    seen.set(label, times);
    return times === 1 ? label : `${label} (${times})`;
  });
}

function compileCheck(check: CheckSpec): Check {
  switch (check.kind) {
    case 'status':
      return statusCheck(check.status.map(parseStatusItem));
    case 'bodyContains':
      return containsCheck(Buffer.from(check.text));
    case 'bodyMatches':
      return patternCheck(parsePattern(check.pattern));
    case 'jsonPath':
      return jsonPathCheck(check.path, check.equals);
    case 'maxSize':
      return { usesBody: false, passes: (answer) => answer.bodyBytes <= check.bytes };
    case 'maxLatency':
      return { usesBody: false, passes: (_answer, serviceMs) => serviceMs <= check.ms };
    case 'verify':
      return check.verify === 'statusCode' ? statusCheck([{ min: 200, max: 200 }]) : codeCheck();
  }
}

function statusCheck(ranges: readonly StatusRange[]): Check {
  const passing = new Set<number>();
  for (const { min, max } of ranges) for (let status = min; status <= max; status++) passing.add(status);
  return { usesBody: false, passes: (answer) => passing.has(answer.status) };
}

function containsCheck(wanted: Buffer): Check {
  return { usesBody: true, passes: (_answer, _serviceMs, content) => content.bytes?.includes(wanted) ?? false };
}

function patternCheck(pattern: RegExp): Check {
  return {
    usesBody: true,
    passes: (_answer, _serviceMs, content) => content.bytes !== null && pattern.test(content.text),
  };
}

function jsonPathCheck(path: string, equals: JsonValue): Check {
  const query = parseJsonPath(path);
  return {
    usesBody: true,
    passes: (_answer, _serviceMs, content) => {
      const json = content.json;
      if (json === undefined) return false;
      for (const node of query.lazyQuery(json)) if (sameJson(node.value, equals)) return true;
      return false;
    },
  };
}

/** As go-stress-testing has it: HTTP status 200 and a JSON object whose `code` is the number 200. */
function codeCheck(): Check {
  return {
    usesBody: true,
    passes: (answer, _serviceMs, content) => {
      if (answer.status !== 200) return false;
      const json = content.json;
      return typeof json === 'object' && json !== null && 'code' in json && json.code === 200;
    },
  };
}

/** 0 and -0 are equal here, which `isDeepStrictEqual` alone does not think. */
function sameJson(found: unknown, wanted: JsonValue): boolean {
  return found === wanted || isDeepStrictEqual(found, wanted);
}

/** The body of the answer that is being judged, in the forms that checks want, each made at most once. */
class Content {
  /** null: there is no body that can be judged; `problem` says why. */
  bytes: Buffer | null = null;
  problem: string | null = null;
  #text: string | null = null;
  #json: JsonValue | undefined;
  #parsed = false;

  read(answer: Answer): void {
    const body = answer.body;
    this.#text = null;
    this.#json = undefined;
    this.#parsed = false;
    this.bytes = null;
    if (body === null) {
      this.problem = 'the body cannot be decoded, or not within 1 MiB';
    } else if (answer.bodyBytes > MAX_CHECKED_BODY_BYTES || body.length > MAX_CHECKED_BODY_BYTES) {
      this.problem = 'the body is longer than 1 MiB';
    } else {
      this.problem = null;
      this.bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    }
  }

  /** UTF-8, whatever charset the answer names. */
  get text(): string {
    this.#text ??= this.bytes?.toString('utf8') ?? '';
    return this.#text;
  }

  /** undefined: the body is not JSON. */
  get json(): JsonValue | undefined {
    if (this.#parsed || this.bytes === null) return this.#json;
    this.#parsed = true;
    try {
      this.#json = JSON.parse(this.text) as JsonValue;
    } catch {
      this.problem = 'the body is not JSON';
    }
    return this.#json;
  }
}
