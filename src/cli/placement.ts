import { show } from '../lib/show.ts';
import type { PlacementMessage } from '../rpc/messages.ts';
import type { PlacementFlags } from './options.ts';

const MOVING = { strict: 'STRICT', fast: 'FAST' } as const;

/** What the flags say of the placement; null: nothing. Names of strategies are for the cluster to judge. */
export function readPlacement(flags: PlacementFlags, problems: string[]): PlacementMessage | null {
  const { strategy, label, maxNodes, moving } = flags;
  const placement: PlacementMessage = {};
  if (strategy !== undefined) placement.strategy = strategy;
  if (label !== undefined) placement.labels = readLabels(label, problems);
  if (maxNodes !== undefined) {
    if (!/^[1-9]\d{0,8}$/.test(maxNodes)) {
      problems.push(`--max-nodes: expected a whole number from 1 on, found ${show(maxNodes)}`);
    }
    placement.maxNodes = Number(maxNodes);
  }
  if (moving !== undefined) {
    if (moving === 'strict' || moving === 'fast') placement.moving = MOVING[moving];
    else problems.push(`--moving: expected "strict" or "fast", found ${show(moving)}`);
  }
  return Object.keys(placement).length === 0 ? null : placement;
}

function readLabels(texts: readonly string[], problems: string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const text of texts) {
    const [, key, value] = /^([\w.-]+)=([\w.-]+)$/.exec(text) ?? [];
    if (key === undefined || value === undefined) {
      problems.push(`--label: expected KEY=VALUE like "zone=eu", found ${show(text)}`);
    } else labels[key] = value;
  }
  return labels;
}
