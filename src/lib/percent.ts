/** The text percent-decoded as UTF-8 (RFC 3986 section 2.1); as it is when it cannot be, e.g. for a stray `%`. */
export function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
