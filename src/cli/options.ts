import { Command } from '@commander-js/extra-typings';
import { OUTPUT_HELP } from './report-output.ts';

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

export const URL_ARGUMENT = ['[url]', 'http: or https: URL of the target'] as const;

/**
 * The flags that say what a task is, as texts; task-flags.ts says what they mean. No defaults here: an absent flag leaves
 * the task file's value, or the task's default, as it is.
 */
export function taskCommand(name: string) {
  return new Command(name)
    .optionsGroup('What to send:')
    .option('-f, --file <file>', 'task file (YAML); "-" reads it from standard input')
    .option('--curl <command>', 'a curl command, or @FILE that holds one')
    .option('-p, --curl-file <file>', 'file that holds a curl command (same as --curl @FILE)')
    .option('--url <url>', 'URL in the place of the one of the task file or curl command')
    .option('-m, --method <method>', 'method (default: GET, with a body POST)')
    .option('-H, --header <header>', 'header "Name: value"; replaces those of that name; repeatable', collect)
    .option('-b, --body <body>', 'body, or @FILE that holds it; no Content-Type is implied')
    .option('-L, --location', 'follow redirects')
    .option('--name <name>', 'name of the task in the report')
    .optionsGroup('How much load:')
    .option('-q, --rate <rate>', 'hits a second over all connections: 600, 600/s or 30/1m (open model)')
    .option(
      '-c, --connections <n>',
      'with a rate: most connections; without: users, one connection each (http2: see --streams)',
    )
    .option('-d, --duration <duration>', 'how long: 30s, 1m30s')
    .option('-n, --hits <n>', 'end after this many hits in total')
    .option(
      '--stage <stage>',
      '30s:1000 goes to 1000 within 30s, 30s=1000 stays there; hits a second, or users in the closed model; repeatable',
      collect,
    )
    .option('--model <model>', 'open (rates) or closed (users): what --stage counts')
    .option('--warmup <duration>', 'hits of this first part are counted but not in percentiles and SLOs')
    .option('--max-in-flight <n>', 'most hits in flight at a time (default: 10000)')
    .option('--on-saturated <policy>', 'when none may be sent at its instant: drop (default) or queue')
    .option('--grace <duration>', 'how long hits in flight may take at the end')
    .optionsGroup('Connections:')
    .option('--timeout <duration>', 'for a whole hit, from its start to the last byte')
    .option('--connect-timeout <duration>', 'for DNS, TCP and TLS of a new connection')
    .option('--response-timeout <duration>', 'from the request to the first byte of the response')
    .option('--no-keepalive', 'a new connection for each hit')
    .option(
      '--client <name>',
      'what sends: auto (default: HTTP/1.1), http1 (fast, follows no redirects), undici, or http2 (follows no redirects)',
    )
    .option('--streams <n>', 'with --client http2: most hits at a time on one connection (default: 100)')
    .option('-k, --insecure', 'do not verify the certificate of the target')
    .option('--cacert <file>', 'trust the certificates in this PEM file')
    .option('--cert <file>', "client certificate, a PEM file; needs the certificate's --key")
    .option('--key <file>', 'private key of --cert, a PEM file')
    .option('--sni <name>', "server name for TLS, in the place of the URL's host")
    .optionsGroup('What is expected:')
    .option(
      '--check <check>',
      'a check on each answer; replaces those of the task file; repeatable: ' +
        "status=200,301-399, contains=TEXT, matches=REGEX, 'json=$.code==200', 'size<=10KB', 'latency<200ms'; without a status check 200-399 is expected",
      collect,
    )
    .option('-v, --verify <name>', 'statusCode (is 200) or json (the field "code" is 200)')
    .option(
      '--slo <slo>',
      "judged at the end: 'p99 < 200ms', 'errors < 1%', 'rate > 950', 'checks > 99%', 'dropped < 1%'; repeatable",
      collect,
    );
}

/** A command's flags as texts, those of a task among them. */
export type TaskFlags = ReturnType<ReturnType<typeof taskCommand>['opts']>;

/** The flags that say how a cluster spreads a task. */
export interface PlacementFlags {
  strategy?: string | undefined;
  label?: string[] | undefined;
  maxNodes?: string | undefined;
  moving?: string | undefined;
}

/** The flags of `gostress run`. */
export function runCommand() {
  return taskCommand('run')
    .argument(...URL_ARGUMENT)
    .description('Stress a target and tell how it answered, and whether the numbers can be trusted')
    .option('--strict', 'a DEGRADED verdict fails like INVALID')
    .optionsGroup('Where it runs:')
    .option('--threads <n>', 'engine threads (default: as the load needs, at most the cores less one)')
    .option('--cluster <host:port>', 'on the workers of this cluster (default: in this process)')
    .option('--detach', 'with --cluster: print the name of the run and leave it to the cluster')
    .option('--strategy <name>', 'with --cluster: least-loaded (default), weighted or even')
    .option('--label <key=value>', 'with --cluster: only workers that have this label; repeatable', collect)
    .option('--max-nodes <n>', 'with --cluster: most workers')
    .option(
      '--moving <mode>',
      'with --cluster: when a lost share moves: strict (default, never above the rate) or fast',
    )
    .optionsGroup('What is printed:')
    .option('-o, --output <format>', OUTPUT_HELP)
    .option('--table', 'one row of a table each second instead of the live view')
    .option('--no-color', 'no colours (also: NO_COLOR=1)')
    .option('--dry-run', 'print the task as a file that -f accepts, and send nothing')
    .option('--show-secrets', 'with --dry-run: do not mask secrets');
}

/** The flags of `gostress tasks create` and `update`. */
export function clusterTaskCommand(name: string) {
  return taskCommand(name)
    .optionsGroup('How it is spread:')
    .option('--strategy <name>', 'least-loaded (default), weighted or even')
    .option('--label <key=value>', 'only workers that have this label; repeatable', collect)
    .option('--max-nodes <n>', 'most workers')
    .option('--moving <mode>', 'when a lost share moves: strict (default, never above the rate) or fast')
    .optionsGroup('Options:');
}

export type ClusterTaskFlags = ReturnType<ReturnType<typeof clusterTaskCommand>['opts']>;

export type RunOptions = ReturnType<ReturnType<typeof runCommand>['opts']>;
