import { expect, test } from 'vitest';
import { plainReason } from '../../src/lib/grpc-words.ts';

test.each([
  ['14 UNAVAILABLE: Channel closed before call started', 'the connection was closed'],
  [
    '4 DEADLINE_EXCEEDED: Deadline exceeded after 0.500s,name resolution: 0.011s,Waiting for LB pick',
    'no answer within 0.500 s',
  ],
  [
    '14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ',
    'connect ECONNREFUSED 127.0.0.1:1',
  ],
  ['Name resolution failed for target dns:x', 'the host name cannot be resolved'],
  ['2 UNKNOWN: etcdserver: no leader', 'etcdserver: no leader'],
  ['no answer within 2000 ms', 'no answer within 2000 ms'],
])('%s is told as: %s', (text, expected) => {
  expect(plainReason(text)).toBe(expected);
});
