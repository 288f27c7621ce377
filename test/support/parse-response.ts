import { BODY, BROKEN, END, HEAD, MORE, ResponseParser } from '../../src/load/http1-parser.ts';

/** What a parser makes of the answer to one request. */
export interface Parsed {
  kind: 'complete' | 'incomplete' | 'broken';
  /** Of all heads, informational ones too. */
  statuses: number[];
  body: string;
  /** Bytes after the response, of those that the parser was given. */
  rest: number;
  keepsAlive: boolean | null;
  problem: string;
}

/**
 * Gives a parser the bytes as one response, in pieces that end at these positions, and then the end of the connection.
 *
 * @throws Error when the parser does not get on
 */
export function parseResponse(bytes: Buffer, cuts: readonly number[] = [], isHead = false): Parsed {
  const parser = new ResponseParser(isHead);
  parser.start();
  const parsed: Parsed = { kind: 'incomplete', statuses: [], body: '', rest: 0, keepsAlive: null, problem: '' };
  const ends = [...cuts, bytes.length];
  let from = 0;
  for (const to of ends) {
    const piece = Buffer.from(bytes.subarray(from, to));
    from = to;
    parser.feed(piece, piece.length);
    if (!readPiece(parser, piece, parsed)) continue;
    parsed.rest = bytes.length - to + piece.length - parser.position;
    return parsed;
  }
  if (!parser.end()) return parsed;
  return { ...parsed, kind: 'complete', keepsAlive: parser.keepsAlive };
}

/** @returns true when nothing more is to come */
function readPiece(parser: ResponseParser, piece: Buffer, parsed: Parsed): boolean {
  for (let events = 0; events <= piece.length * 2 + 2; events++) {
    switch (parser.next()) {
      case MORE:
        return false;
      case HEAD:
        parsed.statuses.push(parser.head.status);
        break;
      case BODY:
        parsed.body += piece.toString('latin1', parser.bodyFrom, parser.bodyTo);
        break;
      case END:
        parsed.kind = 'complete';
        parsed.keepsAlive = parser.keepsAlive;
        return true;
      case BROKEN:
        parsed.kind = 'broken';
        parsed.problem = parser.problem;
        return true;
    }
  }
  throw new Error('the parser tells of more events than there are bytes');
}
