import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { spawnCommand } from './cli.ts';

/** Debian's own, which has the modules of Debian's packages; another `python3` may come first on PATH. */
const PYTHON = '/usr/bin/python3';
const CLIENT = fileURLToPath(new URL('grpc-client.py', import.meta.url));

/** Why Python cannot call the API here; null: it can. For `describe.skipIf`. */
export const PYTHON_MISSING =
  spawnSync(PYTHON, ['-c', 'import grpc, google.protobuf'], { timeout: 30_000 }).status === 0
    ? null
    : `${PYTHON} with grpcio and protobuf (Debian's python3-grpcio, python3-protobuf)`;

export interface PythonAnswer {
  /** Of a call that went well. */
  messages?: Record<string, unknown>[];
  /** Of one that failed: the name of its status, and the fields of google.rpc.BadRequest. */
  code?: string;
  details?: string;
  violations?: string[];
}

/** Calls a method to its end. @param method e.g. `gostress.v1.TaskService/GetTask` */
export async function askPython(address: string, method: string, request: object = {}): Promise<PythonAnswer> {
  await using asked = spawnCommand(PYTHON, [CLIENT, address, method, JSON.stringify(request)], { timeoutMs: 90_000 });
  const { code, stdout, stderr } = await asked.ended;
  if (code !== 0) throw new Error(`${method} ${JSON.stringify(request)}: ${stderr}`);
  return JSON.parse(stdout) as PythonAnswer;
}
