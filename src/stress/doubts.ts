import { opinionOf } from '../cluster/opinions.ts';
import type { ClusterControl, Member, MemberEvent } from '../cluster/ports.ts';

export interface Doubted {
  kind: 'node.doubted' | 'node.down' | 'node.cleared';
  subject: string;
  text: string;
}

/** Tells once of each change of what the sentinels say of the workers. */
export class Doubts {
  readonly #control: ClusterControl;
  /** By node id: what was told last. */
  readonly #told = new Map<string, string>();

  constructor(control: ClusterControl) {
    this.#control = control;
  }

  /** @param members the workers of now */
  changes(members: readonly Member[]): Doubted[] {
    const changes: Doubted[] = [];
    const { quorum } = this.#control;
    const sentinels = this.#control.view()?.sentinels ?? [];
    for (const member of members) {
      const { nodeId } = member.node;
      const { doubts, isDown, remark } = opinionOf(member, sentinels, quorum);
      const subject = `nodes/${nodeId}`;
      const who = doubts.map(({ sentinel, why }) => `${sentinel} (${why})`).join(', ');
      const words = doubts.length === 0 ? remark : `it does not answer ${who}${remark === '' ? '' : `; ${remark}`}`;
      const told = this.#told.get(nodeId) ?? '';
      if (words === told) continue;
      this.#told.set(nodeId, words);
      if (words === '') changes.push({ kind: 'node.cleared', subject, text: 'all who watch it see it again' });
      else changes.push({ kind: isDown ? 'node.down' : 'node.doubted', subject, text: words });
    }
    return changes;
  }

  forget({ member: { node } }: MemberEvent): void {
    this.#told.delete(node.nodeId);
  }
}
