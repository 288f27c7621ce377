/**
 * A shell command is bytes, not characters: `$'\xff'` is one byte that is no UTF-8. So the words of a command travel
 * through this folder as byte texts: strings with one character (U+0000 to U+00FF) per byte.
 */
export type ByteText = string;

export function toByteText(text: string): ByteText {
  return Buffer.from(text).toString('latin1');
}

export function bytesOf(text: ByteText): Buffer {
  return Buffer.from(text, 'latin1');
}

/** The characters that the bytes mean in UTF-8, for paths and messages; what is not UTF-8 becomes U+FFFD. */
export function readable(text: ByteText): string {
  return bytesOf(text).toString();
}

/** The characters, or null when the bytes are not UTF-8. A byte order mark is kept. */
export function exactText(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/**
 * Percent-encoding of RFC 3986. curl writes hexadecimal digits in lower case within URLs, in upper case in forms.
 *
 * @param unsafe finds the bytes to encode; it must be global
 */
export function percentEncode(text: ByteText, unsafe: RegExp, digits: 'lower' | 'upper'): ByteText {
  return text.replace(unsafe, (byte) => {
    const hex = byte.charCodeAt(0).toString(16).padStart(2, '0');
    return `%${digits === 'upper' ? hex.toUpperCase() : hex}`;
  });
}
