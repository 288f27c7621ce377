import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { CANDIDATE, TWO_LEADERS, type Fault, type Nodes } from '../fault.ts';
import type { Scene } from '../scene.ts';

const BLOCK_MS = 3_000;
const BLOCKER = fileURLToPath(new URL('../block-main.ts', import.meta.url));

/** All of them can be told to block their main thread. */
const BLOCKABLE: Nodes = withEnv({ NODE_OPTIONS: `--import=${BLOCKER}`, FAULTS_BLOCK_MS: String(BLOCK_MS) });

function withEnv(more: Record<string, string>): Nodes {
  return Object.fromEntries(Object.entries(TWO_LEADERS).map(([id, { env }]) => [id, { env: { ...env, ...more } }]));
}

async function block(scene: Scene, nodeId: string): Promise<void> {
  scene.recorder.begin('block', nodeId);
  scene.node(nodeId).signal('SIGUSR2');
  await sleep(BLOCK_MS);
  scene.recorder.end('block', nodeId);
}

/** All cores have twice as much to do as they can. */
async function hog(scene: Scene, ms: number): Promise<void> {
  scene.recorder.begin('hog', 'machine');
  const hogs = Array.from({ length: 2 * availableParallelism() }, () => spawn(process.execPath, ['-e', 'for (;;);']));
  try {
    await sleep(ms);
  } finally {
    for (const process of hogs) process.kill('SIGKILL');
    scene.recorder.end('hog', 'machine');
  }
}

export const BUSY: readonly Fault[] = [
  {
    name: 'F13 the main loop of the master is blocked for 3 s: it steps down by itself, and the load goes on',
    nodes: BLOCKABLE,
    seconds: 22,
    async act(scene) {
      const { nodeId, term } = await scene.master();
      await block(scene, nodeId);
      await scene.master(term);
    },
    expects: ({ logs }) => {
      const ends = logs.flatMap(({ lines }) => lines.filter(({ msg }) => msg === 'no longer master'));
      expect(ends.map(({ why }) => why)).toContainEqual(expect.stringMatching(/stood still|blocked/));
    },
  },
  {
    name: 'F13 the main loop of a worker is blocked for 3 s: its engine goes on by its permit',
    nodes: BLOCKABLE,
    seconds: 15,
    act: (scene) => block(scene, 'w1'),
  },
  {
    name: 'F13 all cores are hogged for 8 s: no share is loaded twice, and not a hit is lost',
    seconds: 25,
    leaderlessMs: 20_000,
    pauses: true,
    act: (scene) => hog(scene, 8_000),
  },
];

/** Debian's libfaketime: a clock that a file or a variable sets. */
const FAKETIME = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu']
  .map((folder) => `${folder}/faketime/libfaketimeMT.so.1`)
  .find((file) => existsSync(file));
const FAKETIME_MISSING = FAKETIME === undefined ? "libfaketime (Debian's faketime)" : null;
const LD_PRELOAD = FAKETIME ?? '';

/** The wall clock of two nodes, one of them the master, is set while they run. */
function setClock(by: string): Fault {
  const file = path.join(tmpdir(), `gostress-clock-${process.pid}-${by}`);
  const env = {
    LD_PRELOAD,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  return {
    name: `F14 the wall clocks of a master and a worker are set by ${by}: at worst another one leads, and nothing is lost`,
    missing: FAKETIME_MISSING,
    nodes: {
      ...TWO_LEADERS,
      m1: { env: { ...CANDIDATE.env, ...env } },
      w1: { env: { GOSTRESS_ROLES: 'worker', ...env } },
    },
    before: () => writeFile(file, '+0\n'),
    seconds: 25,
    pauses: true,
    async act(scene) {
      await writeFile(file, `${by}\n`);
      await sleep(10_000);
      await scene.master();
    },
  };
}

/** All clocks of one node run at another speed. */
function clockRate(rate: string): Fault {
  const env = { LD_PRELOAD, FAKETIME: `+0 x${rate}` };
  return {
    name: `F14 the clocks of a worker run at ${rate} of their speed: no share is loaded twice, and nothing is lost`,
    missing: FAKETIME_MISSING,
    nodes: { ...TWO_LEADERS, w1: { env: { GOSTRESS_ROLES: 'worker', ...env } } },
    seconds: 20,
    act: () => sleep(8_000),
  };
}

export const CLOCKS: readonly Fault[] = [setClock('+1h'), setClock('-1h'), clockRate('1.02'), clockRate('0.98')];
