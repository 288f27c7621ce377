import { votesNeeded } from './failover.ts';
import type { CoordinatorView, Member } from './ports.ts';

/** What those who watch a process say of it. Advice to people: no share moves by it. */
export interface Opinion {
  /** The sentinels that get no answer of it. */
  doubts: readonly { sentinel: string; why: string }[];
  /** Enough sentinels say so. */
  isDown: boolean;
  /** In words, where the master and the sentinels do not say the same; else empty. */
  remark: string;
}

/** @param member a process as the master sees it; `standing` is of workers only */
export function opinionOf(
  { node, standing }: Pick<Member, 'node' | 'standing'>,
  sentinels: CoordinatorView['sentinels'],
  quorum: number,
): Opinion {
  const doubts = sentinels.flatMap(({ nodeId: sentinel, doubts: list }) =>
    list
      .filter(({ nodeId, incarnation }) => nodeId === node.nodeId && incarnation === node.incarnation)
      .map(({ why }) => ({ sentinel, why })),
  );
  const isDown = doubts.length >= votesNeeded(sentinels.length, quorum);
  const isWorker = node.roles.includes('worker');
  let remark = '';
  if (isWorker && standing === 'suspect' && sentinels.length > 0 && doubts.length === 0) {
    remark = 'only the master does not hear of it: a network problem between the two, not a death';
  }
  if (isWorker && standing === 'live' && isDown) remark = 'the master hears of it, the sentinels do not';
  return { doubts, isDown, remark };
}
