import {
  LineCounter,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  type Document,
  type Node,
  type YAMLError,
} from 'yaml';
import { CodedError, errorMessage } from '../lib/errors.ts';
import { LIMITS } from './defaults.ts';
import type { Path } from './problems.ts';

/** Enough for people; what expands to more is an attack on memory. */
const MAX_ALIASES = 100;
const MAX_SYNTAX_PROBLEMS = 10;

/** A file that people wrote. */
export interface YamlFile {
  value: unknown;
  /** Where the path's last key begins, in characters from the start; of what is not there, its nearest part. */
  offsetOf: (path: Path) => number;
  /** `task.yaml:12:5`: line and column of an offset. */
  place: (offset: number) => string;
}

/**
 * Reads YAML 1.2, and so JSON too.
 *
 * @param source names the file in problems
 * @throws CodedError INVALID_INPUT with the problems of the syntax
 */
export function readYaml(text: string, source: string): YamlFile {
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.fileBytes) {
    throw new CodedError('INVALID_INPUT', `${source}: expected at most ${LIMITS.fileBytes} bytes, found ${bytes}`);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2', logLevel: 'error' });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${source}:${line}:${col}`;
  };
  const value = toValue(document, source, place);
  return { value, offsetOf: (path) => offsetOf(document, path), place };
}

function toValue(document: Document.Parsed, source: string, place: (offset: number) => string): unknown {
  const errors = [...document.errors, ...document.warnings];
  // A nesting too deep for the parser breaks off somewhere inside: what else it then finds is no news.
  const tooDeep = errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
  if (tooDeep !== undefined) {
    throw new CodedError('INVALID_INPUT', `${place(tooDeep.pos[0])}: expected less nesting`);
  }
  if (errors.length > 0) {
    const problems = errors.slice(0, MAX_SYNTAX_PROBLEMS);
    throw new CodedError(
      'INVALID_INPUT',
      problems.map((error) => `${place(error.pos[0])}: not valid YAML: ${describeSyntax(error)}`),
    );
  }
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    // The library throws ReferenceError for an unknown anchor and for too many aliases.
    throw new CodedError('INVALID_INPUT', `${source}: not valid YAML: ${errorMessage(error)}`, { cause: error });
  }
}

function describeSyntax({ code, message }: YAMLError): string {
  if (code === 'DUPLICATE_KEY') return 'expected each key once in a map, found it again here';
  if (code === 'MULTIPLE_DOCS') return 'expected one document, found several';
  // After the colon some messages quote the text, which may be a secret.
  return code === 'UNEXPECTED_TOKEN' ? message.replace(/: .*$/s, '') : message;
}

/** Where the path's last key begins; of what is not there, its nearest part. */
function offsetOf(document: Document.Parsed, path: Path): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    let next: { at: unknown; value: unknown } | undefined;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
      if (pair !== undefined) next = { at: pair.key, value: pair.value };
    } else if (isSeq(node)) {
      const item = node.items[Number(step)];
      if (item !== undefined) next = { at: item, value: item };
    }
    if (next === undefined) break;
    offset = startOf(next.at) ?? offset;
    node = next.value;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null)?.range?.[0];
}
