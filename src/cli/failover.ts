import { Command } from '@commander-js/extra-typings';
import { CodedError } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { pause } from '../lib/wait.ts';
import type { ClusterClient } from '../rpc/client.ts';
import type { ClusterMessage, NominationMessage, TermReasonsMessage } from '../rpc/messages.ts';
import { CLUSTER_FLAG, nodeName, withCluster } from './cluster.ts';
import { jsonText, listText, pairsText, timestampText } from './messages-text.ts';
import { writeText } from './output.ts';
import { isJson } from './pages.ts';

/** After a switchover the next master is awaited this long, and looked for this often. */
const NEXT_MASTER_MS = 15_000;
const LOOK_MS = 20;

const say = (text: string): Promise<void> => writeText(process.stdout, 'standard output', text);

/** `gostress cluster …`: its master, and how one follows another. */
export function clusterCommand() {
  return new Command('cluster')
    .description('The mastership of a cluster: explain, failover, pause, resume')
    .addCommand(explainCommand())
    .addCommand(failoverCommand())
    .addCommand(pauseCommand())
    .addCommand(resumeCommand());
}

function explainCommand() {
  return new Command('explain')
    .description('Why the master of a term became it')
    .argument('[term]', 'number of the mastership (default: the present one)')
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (term, flags) => {
      const problems: string[] = [];
      const json = isJson(flags, problems);
      if (term !== undefined && !/^[1-9]\d{0,14}$/.test(term)) {
        problems.push(`expected a term like "7", found ${show(term)}`);
      }
      await withCluster(flags, problems, async (client) => {
        const reasons = await client.explainTerm(term ?? '0');
        await say(json ? jsonText(reasons) : reasonsText(reasons));
      });
    });
}

function failoverCommand() {
  return new Command('failover')
    .description('Hand the mastership over to another candidate, and wait until it leads')
    .option('--to <node>', 'the node that shall follow: nodes/a, or a (default: the best one)')
    .option('--reason <text>', 'kept with the term')
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (flags) => {
      const problems: string[] = [];
      const [to, json] = [flags.to === undefined ? '' : nodeName(flags.to, problems), isJson(flags, problems)];
      await withCluster(flags, problems, async (client) => {
        const nomination = await client.failover(to, flags.reason ?? '');
        const beganAtMs = performance.now();
        const { master, term } = await nextMaster(client, nomination);
        const tookMs = Math.round(performance.now() - beganAtMs);
        const text = `${master!.name} is the master of term ${term}, ${tookMs} ms after the old one had stopped\n`;
        await say(json ? jsonText({ nomination, master: master!.name, term }) : text);
      });
    });
}

/** @throws CodedError UNAVAILABLE when there is none in time */
async function nextMaster(client: ClusterClient, { node, forTerm }: NominationMessage): Promise<ClusterMessage> {
  const untilMs = performance.now() + NEXT_MASTER_MS;
  for (;;) {
    const cluster = await client.getCluster().catch((error: unknown) => {
      if (error instanceof CodedError && error.code === 'UNAVAILABLE') return null;
      throw error;
    });
    if (cluster !== null && cluster.master !== null && Number(cluster.term) > Number(forTerm)) return cluster;
    if (performance.now() > untilMs) {
      throw new CodedError(
        'UNAVAILABLE',
        `term ${forTerm} has ended for ${node}, but no master was seen within ${NEXT_MASTER_MS} ms; gostress status tells more`,
      );
    }
    await pause(LOOK_MS, new AbortController().signal);
  }
}

function pauseCommand() {
  return new Command('pause')
    .description('Pause automatic failover: sentinels end no term until it is resumed')
    .option('--reason <text>', 'shown to all')
    .option(...CLUSTER_FLAG)
    .action(async (flags) => {
      await withCluster(flags, [], async (client) => {
        await client.pauseFailover(flags.reason ?? '');
        await say('automatic failover is paused; gostress cluster resume takes it back\n');
      });
    });
}

function resumeCommand() {
  return new Command('resume')
    .description('Resume automatic failover')
    .option(...CLUSTER_FLAG)
    .action(async (flags) => {
      await withCluster(flags, [], async (client) => {
        await client.resumeFailover();
        await say('automatic failover is on\n');
      });
    });
}

function reasonsText({ term, node, time, how, nomination, ranked }: TermReasonsMessage): string {
  const head = [
    ['term', term],
    ['master', node],
    ['since', timestampText(time)],
    ['how', how === 'NOMINATED' ? 'it was nominated' : 'by rank: the lock was free'],
  ] as const;
  const rank = ['by rank', ranked.join(', ')] as const;
  if (nomination === null) return pairsText([...head, rank]);
  const { reason, by, votes, candidates, node: nominee, forTerm } = nomination;
  const named = [
    ['nominated', `${nominee} by ${by}, to follow term ${forTerm}`],
    ['why', reason],
    ['votes', votes.join(', ')],
  ] as const;
  const rows = candidates.map((each) => [each.node, each.refused === '' ? 'fit' : each.refused, each.score]);
  return `${pairsText([...head, ...named, rank])}\n${listText(['candidate', 'filter', 'score'], rows)}`;
}
