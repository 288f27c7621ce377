import { CodedError, errorMessage } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { DEFAULT_PLACEMENT, type Placement, type StressApi } from '../stress/ports.ts';
import { prepareInline } from '../task/prepare.ts';
import { invalidInput, type Path, type Problem } from '../task/problems.ts';
import { readTask } from '../task/schema.ts';
import type { PreparedTask, StageSpec } from '../task/spec.ts';
import { maskProblems } from './masked.ts';
import type {
  CheckMessage,
  LoadMessage,
  PlacementMessage,
  PlanMessage,
  RequestMessage,
  StageMessage,
  TaskMessage,
  Time,
  TlsMessage,
} from './messages.ts';
import { durationToText, valueToJson } from './well-known.ts';

/**
 * Task messages as the task files' form, which `parseTask` then reads: one place has the rules. What proto-loader lets through
 * (an unknown enum value, a count past 2^53) goes on as it is, so that it is refused there with its place.
 */

export interface DecodedTask {
  task: PreparedTask;
  placement: Placement;
}

/**
 * @param at where the message stands in the request, e.g. `task`
 * @param placementProblems what is wrong with a placement that its form does not tell
 * @throws CodedError INVALID_INPUT with all problems at once, each with the path of its field
 */
export function decodeTask(
  message: TaskMessage,
  at: string,
  placementProblems: StressApi['placementProblems'] = () => [],
): DecodedTask {
  const problems: Problem[] = [];
  const input = new InputMaker(problems).task(message);
  problems.push(...maskProblems(message));
  const spec = readTask(input);
  // A problem that the message has already (a negative duration) is not to be told twice.
  const known = new Set(problems.map(({ path }) => path.join()));
  if (Array.isArray(spec)) problems.push(...spec.filter(({ path }) => !known.has(path.join())));
  const placement = readPlacement(message.placement, problems);
  problems.push(...placementProblems(placement));
  if (problems.length > 0 || Array.isArray(spec)) {
    throw invalidInput(
      problems.map(({ path, message: text }) => ({ path: [at, ...fieldPath(path, message)], message: text })),
    );
  }
  try {
    return { task: prepareInline(spec, pemOf(message.tls)), placement };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw new CodedError(
      error.code,
      error.problems.map((line) => inlineProblem(line, at, message)),
    );
  }
}

function pemOf(tls: TlsMessage | null | undefined): PreparedTask['tls'] {
  const of = (pem: string | undefined): string | null => (pem === undefined || pem === '' ? null : pem);
  return { ca: of(tls?.caPem), cert: of(tls?.certPem), key: of(tls?.keyPem) };
}

/** `tls.key: …` of prepareInline. */
function inlineProblem(line: string, at: string, message: TaskMessage): string {
  const [place, ...rest] = line.split(': ');
  const path = fieldPath(place!.split('.'), message);
  return [[at, ...path].join('.'), ...rest].join(': ');
}

/** Keys of a task file's form → names of fields, by the path without indices; others differ in their case alone. */
const FIELDS: Readonly<Record<string, string>> = {
  name: 'display_name',
  'load.rate': 'rate_per_second',
  'load.stages': 'plan.stages',
  'load.model': 'plan.model',
  'tls.ca': 'ca_pem',
  'tls.cert': 'cert_pem',
  'tls.key': 'key_pem',
  'checks.status': 'status.statuses',
  'checks.maxSize': 'max_size_bytes',
};

/** The path of a field for a path in the task file's form. */
function fieldPath(path: Path, message: TaskMessage): (string | number)[] {
  const keys: string[] = [];
  return path.flatMap((step): (string | number)[] => {
    if (typeof step === 'number') return [step];
    keys.push(step);
    const key = keys.join('.');
    if (key === 'request.body') return [message.request?.bodyBytes === undefined ? 'body_text' : 'body_bytes'];
    // Below the body's key is its form, which the field's name says.
    if (key.startsWith('request.body.')) return [];
    return (FIELDS[key] ?? step.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)).split('.');
  });
}

class InputMaker {
  readonly #problems: Problem[];

  constructor(problems: Problem[]) {
    this.#problems = problems;
  }

  task(message: TaskMessage): object {
    const { request, load, client, connections, timeouts, redirects, tls, checks, slos } = message;
    return {
      name: given(message.displayName),
      request: request == null ? undefined : this.#request(request),
      load: load == null ? undefined : this.#load(load),
      client: enumName(client, 'CLIENT_UNSPECIFIED'),
      connections: { max: connections?.max, reuse: connections?.reuse, streams: connections?.streams },
      timeouts: {
        connect: this.#duration(timeouts?.connect, ['timeouts', 'connect']),
        response: this.#duration(timeouts?.response, ['timeouts', 'response']),
        total: this.#duration(timeouts?.total, ['timeouts', 'total']),
      },
      redirects: { follow: redirects?.follow, max: redirects?.max },
      tls: { verify: tls?.verify, serverName: given(tls?.serverName) },
      checks: checks?.map((check, i) => this.#check(check, i)),
      slos,
    };
  }

  #request({ method, url, headers, bodyText, bodyBytes }: RequestMessage): object {
    const bytes = bodyBytes === undefined ? undefined : Buffer.from(bodyBytes).toString('base64');
    const body = bodyText === undefined ? bytes && { base64: bytes } : { text: bodyText };
    const isEmpty = bodyBytes?.length === 0;
    return { method: given(method), url: given(url), headers, body: isEmpty ? { base64: '' } : body };
  }

  #load(load: LoadMessage): object {
    return {
      rate: load.ratePerSecond,
      users: load.users,
      model: load.plan == null ? undefined : enumName(load.plan.model, 'MODEL_UNSPECIFIED'),
      stages: load.plan == null ? undefined : this.stages(load.plan, ['load', 'stages']),
      duration: this.#duration(load.duration, ['load', 'duration']),
      hits: load.hits === undefined ? undefined : Number(load.hits),
      warmup: this.#duration(load.warmup, ['load', 'warmup']),
      thinkTime: this.#duration(load.thinkTime, ['load', 'thinkTime']),
      maxInFlight: load.maxInFlight,
      onSaturated: enumName(load.onSaturated, 'ON_SATURATED_UNSPECIFIED'),
      maxQueue: load.maxQueue,
      grace: this.#duration(load.grace, ['load', 'grace']),
    };
  }

  stages({ stages = [] }: PlanMessage, path: Path): object[] {
    return stages.map(({ duration, target, shape }: StageMessage, i) => ({
      duration: this.#duration(duration, [...path, i, 'duration']),
      target,
      shape: enumName(shape, 'SHAPE_UNSPECIFIED'),
    }));
  }

  #check(check: CheckMessage, i: number): object {
    const path = check.jsonPath;
    const input = {
      status: check.status?.statuses,
      bodyContains: check.bodyContains,
      bodyMatches: check.bodyMatches,
      jsonPath:
        path == null
          ? undefined
          : { path: path.path, equals: path.equals == null ? undefined : valueToJson(path.equals) },
      maxSize: check.maxSizeBytes === undefined ? undefined : Number(check.maxSizeBytes),
      maxLatency: this.#duration(check.maxLatency, ['checks', i, 'maxLatency']),
      verify: check.verify === 'STATUS_CODE' ? 'statusCode' : enumName(check.verify, ''),
    };
    // A check is the one key that it has.
    return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  }

  #duration(duration: Time | null | undefined, path: Path): string | undefined {
    if (duration == null) return undefined;
    try {
      return durationToText(duration);
    } catch (error) {
      this.#problems.push({ path, message: errorMessage(error) });
      return undefined;
    }
  }
}

function given(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** An enum value as the task file writes it; a number is a value that nobody knows, and is refused as it is. */
function enumName(value: unknown, unspecified: string): unknown {
  if (value === unspecified) return undefined;
  return typeof value === 'string' ? value.toLowerCase() : value;
}

const MAX_NAME_LENGTH = 100;
const MAX_LABELS = 100;

function readPlacement(message: PlacementMessage | null | undefined, problems: Problem[]): Placement {
  const { strategy = '', labels = {}, maxNodes, moving } = message ?? {};
  const problem = (field: string, text: string): void =>
    void problems.push({ path: ['placement', field], message: text });
  if (strategy.length > MAX_NAME_LENGTH)
    problem('strategy', `expected at most ${MAX_NAME_LENGTH} characters, found ${strategy.length}`);
  const count = Object.keys(labels).length;
  if (count > MAX_LABELS) problem('labels', `expected at most ${MAX_LABELS} labels, found ${count}`);
  const name = enumName(moving, 'MOVING_UNSPECIFIED');
  if (name !== undefined && name !== 'strict' && name !== 'fast') {
    problem('moving', `expected STRICT or FAST, found ${show(moving)}`);
  }
  return {
    strategy: given(strategy) ?? DEFAULT_PLACEMENT.strategy,
    labels,
    maxNodes: maxNodes ?? null,
    moving: name === 'fast' ? 'fast' : 'strict',
  };
}

/** Of a RetuneRun's plan. @param model of the run. @throws CodedError INVALID_INPUT */
export function decodeStages(plan: PlanMessage, model: 'open' | 'closed'): StageSpec[] {
  const named = enumName(plan.model, 'MODEL_UNSPECIFIED');
  if (named !== undefined && named !== model) {
    const expected = `expected ${model.toUpperCase()}, the model of the run`;
    throw invalidInput([{ path: ['plan', 'model'], message: `${expected}, found ${show(plan.model)}` }]);
  }
  const problems: Problem[] = [];
  const stages = new InputMaker(problems).stages(plan, ['stages']);
  // With hits the last stage may be open, as it may be here: its end is that of the run.
  const spec = readTask({ request: { url: 'http://retune/' }, load: { model, stages, hits: 1 } });
  if (Array.isArray(spec)) problems.push(...spec.map(({ path, message }) => ({ path: path.slice(1), message })));
  if (problems.length === 0 && !Array.isArray(spec)) return spec.load.stages;
  throw invalidInput(
    problems.map(({ path, message }) => ({
      path: ['plan', ...path],
      message: message.includes('target above 0 in at least one') ? `${message}; for no load, use PauseRun` : message,
    })),
  );
}
