import { invalid } from '../../lib/errors.ts';
import type { ConnectionsSpec } from '../spec.ts';
import type { CustomHeader } from './headers.ts';

/**
 * Takes out the headers that the client sets by itself, when they say what it does anyway or what a task can say in
 * another way: `Connection`, `Content-Length`, and those that are only taken away (`Expect:`).
 *
 * @param bodyBytes null: no body
 * @throws CodedError INVALID_INPUT when one asks for something else
 */
export function takeClientHeaders(
  custom: readonly CustomHeader[],
  bodyBytes: number | null,
): { headers: CustomHeader[]; connections: Partial<ConnectionsSpec> } {
  const connections: Partial<ConnectionsSpec> = {};
  const headers = custom.filter(({ name, value }) => {
    switch (name.toLowerCase()) {
      case 'connection': {
        const option = value?.toLowerCase();
        if (option === 'close') connections.reuse = false;
        else if (option !== undefined && option !== 'keep-alive') {
          throw invalid(`-H: expected ${name}: keep-alive or close, found another value`);
        }
        return false;
      }
      case 'content-length':
        if (value === null ? bodyBytes !== null : value !== String(bodyBytes)) {
          const expected = bodyBytes === null ? 'none: there is no body' : `that of the body, ${bodyBytes}`;
          throw invalid(
            `-H: expected a ${name} like ${expected}; found ${value === null ? 'it taken away' : 'another'}`,
          );
        }
        return false;
      case 'transfer-encoding':
      case 'expect':
        return value !== null;
      default:
        return true;
    }
  });
  return { headers, connections };
}
