import { invalid } from '../../lib/errors.ts';
import { bytesOf, percentEncode, type ByteText } from './bytes.ts';
import type { CommandFiles } from './files.ts';
import { eachGiven, type Given } from './given.ts';

/** The options that make a body, or with `-G` a query; `data-ascii` is `data`. */
export type DataKind = 'data' | 'data-raw' | 'data-binary' | 'data-urlencode' | 'json';

export interface DataPiece extends Given {
  kind: DataKind;
}

/** What the pieces make together: `&` before each but the first, and none before JSON. @throws CodedError */
export function joinData(pieces: readonly DataPiece[], files: CommandFiles): Buffer {
  const contents = eachGiven(pieces, (piece) => readData(piece, files));
  const separated = contents.flatMap((content, index) =>
    index === 0 || pieces[index]!.kind === 'json' ? [content] : [Buffer.from('&'), content],
  );
  return Buffer.concat(separated);
}

/** `application/x-www-form-urlencoded`, as `--data-urlencode` writes it: `+` for a space. */
function urlEncode(text: ByteText): ByteText {
  return percentEncode(text, /[^A-Za-z0-9\-._~ ]/g, 'upper').replaceAll(' ', '+');
}

/** The forms of `--data-urlencode`: `content`, `=content`, `name=content`, `@file`, `name@file`. */
export function readUrlEncoded(value: ByteText, files: CommandFiles): ByteText {
  const separator = value.includes('=') ? '=' : '@';
  const at = value.indexOf(separator);
  const name = value.slice(0, Math.max(at, 0));
  const content = value.slice(at + 1);
  const encoded = urlEncode(at >= 0 && separator === '@' ? files.read(content).toString('latin1') : content);
  return name === '' ? encoded : `${name}=${encoded}`;
}

/** A name or text for a place within a URL: all but unreserved characters percent-encoded. */
export function urlSegment(text: ByteText): ByteText {
  return percentEncode(text, /[^A-Za-z0-9\-._~]/g, 'lower');
}

function readData({ kind, value }: DataPiece, files: CommandFiles): Buffer {
  if (kind === 'data-urlencode') return bytesOf(readUrlEncoded(value, files));
  if (kind === 'data-raw' || !value.startsWith('@')) return bytesOf(value);
  const content = files.read(value.slice(1));
  return kind === 'data' ? withoutLineEnds(content) : content;
}

/** `-d @file` leaves carriage returns and line feeds out. */
function withoutLineEnds(content: Buffer): Buffer {
  if (content.includes(0)) {
    throw invalid(
      'expected a text file, found NUL bytes in it, of which versions of curl make different things: use --data-binary',
    );
  }
  return Buffer.from(content.toString('latin1').replace(/[\r\n]/g, ''), 'latin1');
}
