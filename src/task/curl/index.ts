import { invalid } from '../../lib/errors.ts';
import { show } from '../../lib/show.ts';
import type { ConnectionsSpec, RedirectsSpec, RequestSpec, TimeoutsSpec, TlsSpec } from '../spec.ts';
import { readArguments } from './arguments.ts';
import { bashWords } from './bash-words.ts';
import { readable, toByteText, type ByteText } from './bytes.ts';
import { cmdWords, isCmd } from './cmd-words.ts';
import { CommandFiles } from './files.ts';
import { eachGiven, Problems } from './given.ts';
import { buildRequest } from './request.ts';
import { applyArgument, noSettings, type Settings } from './settings.ts';

export { CURL_USER_AGENT } from './request.ts';

/** The parts of a task that a curl command says. */
export interface CurlImport {
  /**
   * As curl sends it. The headers are in curl's order, one character per byte; Host is among them only when the command
   * sets it. Host (else), Content-Length and Connection are the client's. The URL's path and query are as they are sent.
   */
  request: RequestSpec;
  /** null: the command does not follow redirects. */
  redirects: RedirectsSpec | null;
  /** Files as absolute paths. */
  tls: Partial<TlsSpec>;
  timeouts: Partial<TimeoutsSpec>;
  /** Of a header `Connection: close`. */
  connections: Partial<ConnectionsSpec>;
  /** What differs from curl without harm to the request, one sentence each. */
  warnings: string[];
}

/** Methods that a redirect changes neither in curl nor here. */
const KEPT_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

export const MAX_COMMAND_BYTES = 1024 * 1024;

/**
 * Reads a curl command as bash (or cmd.exe) and curl would: see README.md of this folder. A prompt `$ ` before it is
 * left out. The files it sends are read now.
 *
 * @param options.baseDir where relative paths begin; null: the command comes from elsewhere, and one that names a file is refused
 * @throws CodedError INVALID_INPUT, with all problems at once where that is possible
 */
export function importCurl(command: string, options: { baseDir: string | null }): CurlImport {
  const { used, warnings, problems: found } = readArguments(commandWords(command));
  const problems = new Problems(found);
  const settings = noSettings();
  const files = new CommandFiles(options.baseDir);
  problems.attempt(() => eachGiven(used, (argument) => applyArgument(settings, argument)));
  const tls = problems.attempt(() => readTls(settings, files));
  // What stands behind an unknown option may be its value: neither it nor the number of URLs is news then.
  const built = found.length > 0 ? undefined : problems.attempt(() => buildRequest(settings, files, warnings));
  problems.check();
  warnings.push(...redirectWarnings(settings));
  return {
    ...built!,
    redirects: settings.location ? { follow: true, max: settings.maxRedirects } : null,
    tls: tls!,
    timeouts: readTimeouts(settings),
    warnings,
  };
}

/** What the requests after a redirect would have from curl, and have not here. */
function redirectWarnings({ location, method, referer, autoReferer }: Settings): string[] {
  if (!location) return [];
  const warnings: string[] = [];
  if (method !== null && !KEPT_METHODS.has(method)) {
    warnings.push(
      `-X with -L: where a redirect leads to a GET (303; of a POST also 301 and 302), curl would go on with ${method}`,
    );
  }
  if (autoReferer) {
    const found = referer === '' ? 'none' : 'the one given';
    warnings.push(`-e ';auto': after a redirect the Referer is ${found}; curl would send the URL before`);
  }
  return warnings;
}

/** The words behind `curl`. */
function commandWords(command: string): ByteText[] {
  const text = toByteText(command.replace(/^\uFEFF/, '').replace(/^\s*\$\s+(?=curl)/, ''));
  if (text.length > MAX_COMMAND_BYTES) {
    throw invalid(`curl command: expected at most ${MAX_COMMAND_BYTES} bytes, found ${text.length}`);
  }
  const [program, ...words] = isCmd(text) ? cmdWords(text) : bashWords(text);
  if (program !== 'curl' && program !== 'curl.exe') {
    const first = program === undefined ? 'nothing' : show(readable(program));
    throw invalid(`expected a command that begins with curl, found ${first}`);
  }
  return words;
}

function readTls({ insecure, caFile, certFile, keyFile }: Settings, files: CommandFiles): Partial<TlsSpec> {
  if (keyFile !== null && certFile === null) throw invalid('--key: expected a certificate (-E) with it, found none');
  const tls: Partial<TlsSpec> = {};
  if (insecure) tls.verify = false;
  if (caFile !== null) tls.caFile = files.resolve(caFile);
  if (certFile !== null) {
    tls.certFile = files.resolve(certFile);
    // Without --key, the certificate's file has the key too.
    tls.keyFile = files.resolve(keyFile ?? certFile);
  }
  return tls;
}

function readTimeouts({ connectMs, totalMs }: Settings): Partial<TimeoutsSpec> {
  return { ...(connectMs === null ? {} : { connectMs }), ...(totalMs === null ? {} : { totalMs }) };
}
