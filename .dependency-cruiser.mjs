/**
 * The doors between the rooms of src and the fences around packages. `npm run check:doors` (test/tools/doors.ts) runs
 * it. A rule names the rooms or files that may be imported; what is not named is forbidden. Types count as imports.
 */

/** Room → what its files may import besides the room itself: rooms, or single files of a room (without suffix). */
const DOORS = {
  lib: [],
  task: ['lib'],
  cluster: ['lib'],
  load: ['task', 'lib'],
  report: ['task', 'lib'],
  stress: ['cluster', 'load', 'task', 'lib'],
  store: ['stress/ports', 'cluster/ports', 'task', 'lib'],
  rpc: ['stress/ports', 'cluster', 'task', 'lib'],
  web: ['rpc', 'report', 'task', 'lib'],
  cli: ['app', 'rpc', 'report', 'load', 'task', 'lib'],
  app: ['cli', 'web', 'rpc', 'store', 'stress', 'report', 'load', 'cluster', 'task', 'lib'],
};

/** Package → the only places that may import it. */
const FENCES = [
  { name: 'etcd3', packages: ['etcd3'], homes: ['src/cluster/etcd[^/]*[.]ts$'] },
  { name: 'http', packages: ['undici', 'http2', 'ws'], homes: ['src/load/'] },
  { name: 'sql', packages: ['mysql2', 'sqlite', 'kysely'], homes: ['src/store/'] },
  { name: 'grpc', packages: ['@grpc'], homes: ['src/rpc/', 'src/cluster/etcd[^/]*[.]ts$', 'src/load/grpc[.]ts$'] },
  { name: 'pino', packages: ['pino'], homes: ['src/lib/log[.]ts$'] },
];

/** Where execution or a user's import begins; every other file of src must be reachable from one of these. */
const ENTRIES = '^src/(cli/(bin|main)|app/index|load/thread)[.]ts$';

const door = ([room, others]) => ({
  name: `door-${room}`,
  severity: 'error',
  comment: `src/${room} may import ${others.length === 0 ? 'nothing of ours' : others.join(', ')}`,
  from: { path: `^src/${room}/` },
  to: {
    path: '^src/',
    pathNot: [room, ...others].map((other) => (other.includes('/') ? `^src/${other}[.]ts$` : `^src/${other}/`)),
  },
});

/** Matches an installed package, one that is not installed, its types, and a core module with or without `node:`. */
const packagePath = (name) => `(^|node_modules/)(node:|@types/)?${name}(/|$)`;

const fence = ({ name, packages, homes }) => ({
  name: `fence-${name}`,
  severity: 'error',
  comment: `${packages.join(', ')}: only in ${homes.join(', ')}`,
  from: { path: '^src/', pathNot: homes.map((home) => `^${home}`) },
  to: { path: packages.map(packagePath) },
});

export default {
  forbidden: [
    ...Object.entries(DOORS).map(door),
    ...FENCES.map(fence),
    {
      name: 'unknown-room',
      severity: 'error',
      comment: `src has these rooms: ${Object.keys(DOORS).join(', ')}`,
      from: { path: '^src/', pathNot: `^src/(${Object.keys(DOORS).join('|')})/` },
      to: {},
    },
    {
      name: 'outside',
      severity: 'error',
      comment: 'src imports nothing of ours from outside of src: what is published must stand alone',
      from: { path: '^src/' },
      to: { dependencyTypes: ['local'], pathNot: '^src/' },
    },
    {
      name: 'undeclared',
      severity: 'error',
      comment: 'src imports only core modules and packages that package.json lists as dependencies',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    // The package by its own name is there only once it is built.
    { name: 'unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true, pathNot: '^gostress$' } },
    {
      name: 'cycle',
      severity: 'error',
      comment: 'files do not need each other to run; types alone may go round within a room',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'dead',
      severity: 'error',
      comment: 'neither the command, nor the library, nor an engine thread reaches this file',
      from: { path: ENTRIES },
      to: {
        path: '^src/',
        pathNot: [ENTRIES],
        reachable: false,
      },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
