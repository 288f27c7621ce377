import { once } from 'node:events';
import { spawnCommand } from './cli.ts';
import { eventually } from './eventually.ts';

/** Python has the datagram sockets that Node lacks. Does not take the descriptors that come along: who sent them notices. */
const LISTENER = `
import json, socket, sys
name = sys.argv[1]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind('\\0' + name[1:] if name.startswith('@') else name)
print('"bound"', flush=True)
while True:
    print(json.dumps(listener.recv(65536).decode()), flush=True)
`;

export interface NotifySocket extends AsyncDisposable {
  /** Each datagram as one text, without systemd-notify's request for a sign that it was read. */
  messages(): string[];
}

/** A real datagram socket, as systemd has it. @param name a path, or an abstract name that begins with `@` */
export async function listenForNotify(name: string): Promise<NotifySocket> {
  const listener = spawnCommand('python3', ['-c', LISTENER, name], { timeoutMs: 120_000 });
  const lines = () =>
    listener
      .stdout()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as string);
  await eventually(() => {
    if (!lines().includes('bound')) throw new Error(`not listening: ${listener.stderr()}`);
  });
  return {
    messages: () => lines().filter((line) => line !== 'bound' && line !== 'BARRIER=1'),
    async [Symbol.asyncDispose]() {
      listener.child.kill('SIGKILL');
      if (listener.child.exitCode === null && listener.child.signalCode === null) await once(listener.child, 'exit');
      await listener[Symbol.asyncDispose]();
    },
  };
}
