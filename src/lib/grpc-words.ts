/** Texts of grpc-js in which the reason is wrapped up; the group is the reason. */
const WRAPPED: readonly RegExp[] = [
  // `Last error: Failed to connect (2026-11-25T17:21:29.701Z)`
  /^No connection established\. Last error: (?:Error: )?([^]*?)(?: \([\dT:.-]+Z\))?\. Resolution note: [^]*$/,
  /^No address added out of total \d+ resolved errors: \[([^\]]*)/,
];
const WORDS: readonly (readonly [pattern: RegExp, words: string])[] = [
  [/^Name resolution failed for target [^]*$/, 'the host name cannot be resolved'],
  [/^Channel closed before call started$|^Channel has been shut down$/, 'the connection was closed'],
  // `Deadline exceeded after 2.001s,name resolution: 0.011s,Waiting for LB pick`
  [/^Deadline exceeded after ([\d.]+)s[^]*$/, 'no answer within $1 s'],
];

/**
 * Why a connection could not be made, a call was not answered or a port not be opened, in fewer words than grpc-js has for it.
 *
 * @param text details of a status, or the message of an error, which begins with the status: `14 UNAVAILABLE: …`
 */
export function plainReason(text: string): string {
  const details = text.replace(/^\d+ [A-Z_]+: /, '');
  for (const [pattern, words] of WORDS) if (pattern.test(details)) return details.replace(pattern, words);
  for (const pattern of WRAPPED) {
    const reason = pattern.exec(details)?.[1];
    if (reason !== undefined) return reason;
  }
  return details;
}
