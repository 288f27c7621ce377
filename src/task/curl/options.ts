/** What is done with an option of curl. */
export type Treatment =
  /** It is part of the request or of how it is sent. */
  | { kind: 'use' }
  /** It changes nothing that GoStress does: output, logs, or what is so anyway. */
  | { kind: 'ignore' }
  /** It is left out, and this is why that may matter. */
  | { kind: 'warn'; why: string }
  | { kind: 'refuse'; why: string };

export interface CurlOption {
  /** The long name, without dashes. */
  name: string;
  /** Whether an argument follows; an option without one is a switch, and `--no-NAME` turns it off. */
  takesValue: boolean;
  treatment: Treatment;
}

const PROXY = 'GoStress connects to the target itself';
const ROUTE = 'GoStress connects to the host and port of the URL';
const AUTH = 'only Basic (-u) and Bearer (--oauth2-bearer) can be sent without asking the server first';
const VERSION = 'GoStress speaks HTTP/1.1, and HTTP/2 when the client of the task is http2';
const TLS = 'GoStress uses the TLS settings of Node.js';
const LIMIT = 'GoStress has no such limit';
const MEMORY = 'GoStress remembers nothing between hits';
const OTHER_PROTOCOL = 'it is not of HTTP';
const ELSEWHERE = 'write what it would read into the command';
const METHOD = 'GoStress follows redirects by RFC 9110';
const RETRY = 'a hit is never repeated: a failure is counted';

/** Names apart by spaces, each `x/name` or `name`; what stands first belongs to switches, then to those with a value. */
const TABLE: readonly (readonly [Treatment, switches: string, withValue: string])[] = [
  [
    { kind: 'use' },
    'L/location k/insecure G/get I/head g/globoff compressed path-as-is form-escape basic',
    'url url-query X/request H/header d/data data-ascii data-raw data-binary data-urlencode json F/form form-string ' +
      'b/cookie u/user oauth2-bearer A/user-agent e/referer r/range T/upload-file m/max-time connect-timeout ' +
      'max-redirs cacert E/cert cert-type key key-type x/proxy',
  ],
  [
    { kind: 'ignore' },
    's/silent S/show-error v/verbose i/include f/fail fail-with-body fail-early N/buffer #/progress-bar ' +
      'progress-meter O/remote-name remote-name-all J/remote-header-name R/remote-time create-dirs remove-on-error ' +
      'clobber xattr styled-output trace-time q/disable Z/parallel parallel-immediate http1.1 http0.9 raw tcp-nodelay ' +
      'keepalive alpn npn sessionid 1/tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 ssl ssl-reqd ftp-ssl ftp-ssl-reqd ' +
      'ssl-no-revoke ssl-revoke-best-effort false-start suppress-connect-headers',
    'o/output output-dir create-file-mode D/dump-header w/write-out stderr trace trace-ascii libcurl etag-save ' +
      'parallel-max keepalive-time expect100-timeout noproxy happy-eyeballs-timeout-ms',
  ],
  [{ kind: 'warn', why: RETRY }, 'retry-connrefused retry-all-errors', 'retry retry-delay retry-max-time'],
  [{ kind: 'warn', why: MEMORY }, 'j/junk-session-cookies', 'c/cookie-jar hsts alt-svc'],
  [{ kind: 'warn', why: VERSION }, 'http2', ''],
  [{ kind: 'refuse', why: VERSION }, '0/http1.0 http2-prior-knowledge http3 http3-only', ''],
  [
    { kind: 'refuse', why: PROXY },
    'p/proxytunnel proxy-anyauth proxy-basic proxy-digest proxy-insecure proxy-negotiate proxy-ntlm ' +
      'proxy-ssl-allow-beast proxy-ssl-auto-client-cert proxy-tlsv1 socks5-basic socks5-gssapi socks5-gssapi-nec ' +
      'haproxy-protocol',
    'preproxy proxy-cacert proxy-capath proxy-cert proxy-cert-type proxy-ciphers proxy-crlfile proxy-header ' +
      'proxy-key proxy-key-type proxy-pass proxy-pinnedpubkey proxy-service-name proxy-tls13-ciphers ' +
      'proxy-tlsauthtype proxy-tlspassword proxy-tlsuser U/proxy-user proxy1.0 socks4 socks4a socks5 ' +
      'socks5-gssapi-service socks5-hostname',
  ],
  [
    { kind: 'refuse', why: ROUTE },
    '4/ipv4 6/ipv6 doh-insecure doh-cert-status tcp-fastopen',
    'resolve connect-to interface local-port unix-socket abstract-unix-socket dns-interface dns-ipv4-addr ' +
      'dns-ipv6-addr dns-servers doh-url request-target',
  ],
  [
    { kind: 'refuse', why: AUTH },
    'anyauth digest negotiate ntlm ntlm-wb',
    'aws-sigv4 login-options delegation service-name tlsuser tlspassword tlsauthtype',
  ],
  [{ kind: 'refuse', why: ELSEWHERE }, 'n/netrc netrc-optional', 'K/config netrc-file etag-compare z/time-cond'],
  [
    { kind: 'refuse', why: TLS },
    'tlsv1.3 2/sslv2 3/sslv3 cert-status ssl-allow-beast ssl-auto-client-cert',
    'capath crlfile ciphers tls13-ciphers curves tls-max engine pass pinnedpubkey egd-file random-file',
  ],
  [{ kind: 'refuse', why: LIMIT }, '', 'limit-rate rate max-filesize Y/speed-limit y/speed-time C/continue-at'],
  [{ kind: 'refuse', why: METHOD }, 'post301 post302 post303 location-trusted', 'proto-redir'],
  [
    { kind: 'refuse', why: 'GoStress sends the body as it is, with its length' },
    'crlf tr-encoding ignore-content-length B/use-ascii',
    '',
  ],
  [{ kind: 'refuse', why: 'a task has one request' }, ':/next', ''],
  [{ kind: 'refuse', why: 'curl then sends no request' }, 'M/manual V/version', 'h/help'],
  [{ kind: 'refuse', why: 'the URL alone says what is used' }, 'disallow-username-in-url', 'proto proto-default'],
  [
    { kind: 'refuse', why: OTHER_PROTOCOL },
    'a/append disable-eprt disable-epsv eprt epsv ftp-create-dirs ftp-pasv ftp-pret ftp-skip-pasv-ip ftp-ssl-ccc ' +
      'ftp-ssl-control l/list-only mail-rcpt-allowfails metalink sasl-ir tftp-no-options compressed-ssh',
    'ftp-account ftp-alternative-to-user ftp-method P/ftp-port ftp-ssl-ccc-mode hostpubmd5 hostpubsha256 krb ' +
      'mail-auth mail-from mail-rcpt pubkey Q/quote sasl-authzid t/telnet-option tftp-blksize',
  ],
];

const byName = new Map<string, CurlOption>();
const byLetter = new Map<string, CurlOption>();

for (const [treatment, switches, withValue] of TABLE) {
  add(switches, false, treatment);
  add(withValue, true, treatment);
}

function add(list: string, takesValue: boolean, treatment: Treatment): void {
  for (const entry of list.split(' ').filter((item) => item !== '')) {
    const [, letter, name] = /^(?:(.)\/)?(.+)$/.exec(entry)!;
    const option: CurlOption = { name: name!, takesValue, treatment };
    byName.set(option.name, option);
    if (letter !== undefined) byLetter.set(letter, option);
  }
}

export const OPTION_NAMES: readonly string[] = [...byName.keys()];

/** The option of a letter: `X` of `-X`. */
export function optionOfLetter(letter: string): CurlOption | null {
  return byLetter.get(letter) ?? null;
}

/**
 * The options that a long name (without dashes) may mean. As in curl, upper and lower case are the same, and a part
 * from the beginning is enough when no other option begins like it.
 */
export function optionsOfName(text: string): CurlOption[] {
  const name = text.toLowerCase();
  const exact = byName.get(name);
  if (exact !== undefined) return [exact];
  return OPTION_NAMES.filter((known) => known.startsWith(name)).map((known) => byName.get(known)!);
}
