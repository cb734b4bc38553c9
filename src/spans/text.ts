/** Decodes a NUL-terminated name from the kernel. Bytes that are not valid UTF-8 become U+FFFD. */
export function textUpToNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
