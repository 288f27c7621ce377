import { Http2Session, type SessionContext, type SessionUser } from './http2-session.ts';

/**
 * The sessions of one client. An exchange goes to a session that has room, the one that had it last; a new one is dialled when
 * none has. So there are only as many as the hits in flight need.
 */
export class Http2Sessions {
  readonly #context: SessionContext;
  readonly #all = new Set<Http2Session>();
  /** Each session that has room is in here once; others may be. */
  readonly #roomy: Http2Session[] = [];

  constructor(context: SessionContext) {
    this.#context = context;
  }

  /** The session that the exchange is on now, where it may be told to begin before this returns. */
  join(user: SessionUser): void {
    for (;;) {
      const session = this.#roomy.at(-1) ?? this.#dial();
      if (session.hasRoom) return session.join(user);
      this.#roomy.pop();
      session.isListed = false;
    }
  }

  /** Drops all sessions; their users hear nothing. */
  close(): void {
    for (const session of this.#all) session.drop();
  }

  /** The session may have room again. */
  roomMade(session: Http2Session): void {
    if (session.isListed || !session.hasRoom) return;
    session.isListed = true;
    this.#roomy.push(session);
  }

  forget(session: Http2Session): void {
    this.#all.delete(session);
  }

  #dial(): Http2Session {
    const session = new Http2Session(this.#context, this);
    this.#all.add(session);
    this.roomMade(session);
    return session;
  }
}
