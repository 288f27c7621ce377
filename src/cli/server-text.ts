import { clusterWords } from './cluster.ts';

const TASK =
  '{"task": {"request": {"url": "http://127.0.0.1:8080/"}, "load": {"rate_per_second": 100, "duration": "10s"}}}';

/** What `gostress server` prints when it is up: where it is, and commands to paste. */
export function serverText(address: string, dataFolder: string): string {
  const call = (data: string, method: string): string =>
    `grpcurl -plaintext -d ${data} ${address} gostress.v1.TaskService/${method}`;
  return [
    `gostress server at ${address}, data in ${dataFolder}; Ctrl-C ends it`,
    '',
    'In another terminal, something to stress, and a run of it:',
    '  gostress target --port 8080',
    `  gostress run http://127.0.0.1:8080/ -q 100 -d 10s --cluster ${address}`,
    `  gostress status${clusterWords(address)}`,
    '',
    'The same with grpcurl (make a task, start it, watch it):',
    `  task=$(${call(`'${TASK}'`, 'CreateTask')} | grep -om1 'tasks/[0-9]*')`,
    `  run=$(${call('"{\\"name\\": \\"$task\\"}"', 'StartTask')} | grep -om1 'tasks/[0-9]*/runs/[0-9]*')`,
    `  ${call('"{\\"name\\": \\"$run\\"}"', 'WatchRun')}`,
    '',
  ].join('\n');
}
