import { Worker } from 'node:worker_threads';
import { CodedError } from '../lib/errors.ts';
import { settledWithin } from '../lib/wait.ts';
import type { Assignment } from '../task/assignment.ts';
import type { Sample } from '../task/sample.ts';
import type { Course } from './course.ts';
import type { FromThread, ToThread } from './messages.ts';
import { quietV8 } from './quiet-v8.ts';

/** A thread that does not get ready, or does not apply a plan, within this time is a defect. */
const THREAD_DEADLINE_MS = 30_000;

/** A thread that has told its end gets this long to leave by itself. */
const EXIT_DEADLINE_MS = 1_000;

/** The engine's end of one worker thread. */
export class EngineThread {
  /** Told and not yet merged, by second. */
  readonly samples = new Map<number, Sample>();
  hasEnded = false;
  readonly #worker: Worker;
  readonly #onProgress: () => void;
  readonly #ended = Promise.withResolvers<void>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<void>();
  readonly #pending = new Map<number, () => void>();
  #nextId = 0;

  constructor(onProgress: () => void) {
    this.#onProgress = onProgress;
    quietV8();
    // Sources run as .ts, the published package as .js: the thread's entry has the suffix of this file.
    this.#worker = new Worker(
      new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url),
    );
    this.#worker.on('message', (message: FromThread) => this.#hear(message));
    this.#worker.on('error', (error: Error) => this.#fail(error));
    this.#worker.on('exit', (code) => {
      this.#exited.resolve();
      this.#fail(new Error(`it exited with code ${code} before its end`));
    });
    this.#ended.promise.catch(() => undefined);
    this.#ready.promise.catch(() => undefined);
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  tell(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  async prepare(assignment: Assignment, permit: SharedArrayBuffer | null): Promise<void> {
    this.tell({ type: 'prepare', assignment, permit });
    await withDeadline(this.#ready.promise, 'get ready');
  }

  async applyCourse(course: Course): Promise<void> {
    if (this.hasEnded) return;
    const id = this.#nextId++;
    const applied = new Promise<void>((resolve) => this.#pending.set(id, resolve));
    this.tell({ type: 'course', course, id });
    await withDeadline(applied, 'apply the plan');
  }

  /** Resolves when the thread is gone: by itself when it has told its end, else, or when that takes too long, by force. */
  async leave(): Promise<void> {
    if (this.hasEnded) await settledWithin(this.#exited.promise, EXIT_DEADLINE_MS);
    await this.#worker.terminate();
  }

  #hear(message: FromThread): void {
    switch (message.type) {
      case 'ready':
        return this.#ready.resolve();
      case 'sample':
        this.samples.set(message.sample.second, message.sample);
        return this.#onProgress();
      case 'applied':
        this.#pending.get(message.id)?.();
        this.#pending.delete(message.id);
        return;
      case 'ended':
        this.hasEnded = true;
        this.#settlePending();
        this.#onProgress();
        this.#ended.resolve();
    }
  }

  #fail(cause: Error): void {
    const error = new CodedError('INTERNAL', `an engine thread failed: ${cause.message}`, { cause });
    this.#ready.reject(error);
    this.#ended.reject(error);
    this.#settlePending();
  }

  /** A thread that is gone has nothing left to apply a plan to. */
  #settlePending(): void {
    for (const resolve of this.#pending.values()) resolve();
    this.#pending.clear();
  }
}

async function withDeadline(promise: Promise<void>, what: string): Promise<void> {
  if (!(await settledWithin(promise, THREAD_DEADLINE_MS))) {
    throw new CodedError('INTERNAL', `an engine thread did not ${what} within ${THREAD_DEADLINE_MS} ms`);
  }
  return promise;
}
