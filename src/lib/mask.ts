/** What stands in the place of a secret. */
const MASK = '***';

/** A shorter string is not searched for in texts: it would hit innocent words and hide nothing. */
const MIN_SECRET_LENGTH = 4;

const SECRET_NAME = /^(?:proxy-)?authorization$|^(?:set-)?cookie$|token|secret|password|api[-_]?key/i;
const SECRET_QUERY = /([?&][^=&#\s]*(?:token|secret|password|api[-_]?key)[^=&#\s]*=)[^&#\s"']*/gi;
const URL_USER = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"']*@/gi;
// Without its last line the block is cut: all that follows its first line is then taken for the key.
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;

/** Whether a header or query parameter of this name carries a secret: credentials, cookies, tokens, keys. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}

export function maskHeaderValue(name: string, value: string): string {
  return isSecretName(name) ? MASK : value;
}

/**
 * The URL with `***` for its user and password, and for the values of query parameters with a secret name; the rest
 * is left as written. In what is not an http: or ws: URL, all before the last `@` counts as user and password.
 */
export function maskUrl(url: string): string {
  const isUrl = /^(https?|wss?):/i.test(url) && URL.canParse(url);
  const user = isUrl ? /^([a-z][a-z0-9+.-]*:[/\\]*)[^/\\?#]*@/i : /^(\s*[a-z][a-z0-9+.-]*:\/\/)?[^]*@/i;
  return url
    .replace(user, (_, scheme: string | undefined) => `${scheme ?? ''}${MASK}@`)
    .replace(SECRET_QUERY, `$1${MASK}`);
}

/**
 * The text with `***` for each of the secrets, for the user and password of URLs in it, for secret query parameters,
 * and for private keys in PEM form. Secrets of fewer than 4 characters are left alone.
 */
export function maskText(text: string, secrets: readonly string[]): string {
  let masked = text.replace(PRIVATE_KEY, MASK);
  // A longer secret first: it may contain a shorter one.
  for (const secret of [...secrets].sort((a, b) => b.length - a.length)) {
    if (secret.length >= MIN_SECRET_LENGTH) masked = masked.replaceAll(secret, MASK);
  }
  return masked.replace(URL_USER, `$1${MASK}@`).replace(SECRET_QUERY, `$1${MASK}`);
}
