import { createLogUpdate } from 'log-update';
import type { TaskSpec } from '../task/spec.ts';
import type { Second } from '../report/builder.ts';
import { LivePicture } from './picture.ts';
import type { View } from './second.ts';

export interface LiveOptions {
  color: boolean;
  /** Whether the last picture goes away at the end, as the summary follows on the same terminal. */
  clearAtEnd: boolean;
}

/** For a terminal: a few lines that are drawn anew once a second, when there is something new to show. */
export class LiveView implements View {
  readonly #out: NodeJS.WriteStream;
  readonly #update: ReturnType<typeof createLogUpdate>;
  readonly #picture: LivePicture;
  readonly #clearAtEnd: boolean;

  constructor(out: NodeJS.WriteStream, task: TaskSpec, { color, clearAtEnd }: LiveOptions) {
    this.#out = out;
    // A hidden cursor would stay hidden after a crash.
    this.#update = createLogUpdate(out, { showCursor: true });
    this.#picture = new LivePicture(task, color);
    this.#clearAtEnd = clearAtEnd;
    this.#draw();
  }

  second(second: Second): void {
    this.#picture.add(second);
    this.#draw();
  }

  note(text: string): void {
    this.#update.persist(text);
    this.#draw();
  }

  end(): void {
    if (this.#clearAtEnd) this.#update.clear();
    this.#update.done();
  }

  #draw(): void {
    this.#update(this.#picture.draw(this.#out.columns));
  }
}
