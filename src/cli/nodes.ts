import { Command } from '@commander-js/extra-typings';
import type { ClusterMessage } from '../rpc/messages.ts';
import { CLUSTER_FLAG, nodeName, withCluster } from './cluster.ts';
import { jsonText, nodesText, pairsText, sharesText, timestampText } from './messages-text.ts';
import { writeText } from './output.ts';
import { isJson, readLimit, upTo } from './pages.ts';
import { runsText } from './runs.ts';

const say = (text: string): Promise<void> => writeText(process.stdout, 'standard output', text);

/** `gostress nodes …`: the nodes of a cluster. */
export function nodesCommand() {
  return new Command('nodes')
    .description('Nodes of a cluster: list, drain')
    .addCommand(listCommand())
    .addCommand(drainCommand());
}

function listCommand() {
  return new Command('list')
    .description('Nodes, by name')
    .option('--limit <n>', 'most nodes (default: 50)')
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (flags) => {
      const problems: string[] = [];
      const [limit, json] = [readLimit(flags, problems), isJson(flags, problems)];
      await withCluster(flags, problems, async (client) => {
        const { items, more } = await upTo(limit, async (page) => {
          const { nodes, nextPageToken } = await client.listNodes(page);
          return { items: nodes, nextPageToken };
        });
        await say(json ? jsonText(items) : nodesText(items));
        if (more) process.stderr.write('gostress nodes list: there are more; --limit shows them\n');
      });
    });
}

function drainCommand() {
  return new Command('drain')
    .description('Give a node no new work and move what it has, until it starts anew or the master changes')
    .argument('<node>', 'name of a node: nodes/a, or a')
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (text, flags) => {
      const problems: string[] = [];
      const [name, json] = [nodeName(text, problems), isJson(flags, problems)];
      await withCluster(flags, problems, async (client) => {
        const node = await client.drainNode(name);
        await say(json ? jsonText(node) : nodesText([node]));
      });
    });
}

/** `gostress status`: the cluster at a glance. */
export function statusCommand() {
  return new Command('status')
    .description('The cluster: its master, nodes, active runs and their shares')
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (flags) => {
      const problems: string[] = [];
      const json = isJson(flags, problems);
      await withCluster(flags, problems, async (client) => {
        const cluster = await client.getCluster();
        await say(json ? jsonText(cluster) : clusterText(cluster));
      });
    });
}

function sentinelText({ node, voteTerm, voteWhy }: ClusterMessage['sentinels'][number]): string {
  return voteTerm === '0' ? node : `${node} (holds the master of term ${voteTerm} for down: ${voteWhy})`;
}

function clusterText(cluster: ClusterMessage): string {
  const { master, term, nodes, sentinels, failoverPause } = cluster;
  const head = pairsText([
    ['master', master === null ? 'none' : `${master.name} at ${master.address}`],
    ['term', term],
    ['sentinels', sentinels.map(sentinelText).join(', ')],
    ...(failoverPause === null
      ? []
      : [['failover', `paused since ${timestampText(failoverPause.since)}: ${failoverPause.reason}`] as const]),
  ]);
  return `${head}\n${nodesText(nodes)}\n${activeText(cluster)}`;
}

function activeText({ runs, runsUnknownWhy }: ClusterMessage): string {
  if (runsUnknownWhy !== '') return `active runs: not known (${runsUnknownWhy})\n`;
  const active = runs.flatMap(({ run }) => (run === null ? [] : [run]));
  const shares = runs.map((each) => `\n${each.run?.name ?? ''}\n${sharesText(each.run, each.shares)}`);
  return active.length === 0 ? 'no active run\n' : `${runsText(active)}${shares.join('')}`;
}
