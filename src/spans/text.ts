/** Text of a name of the kernel's. It can be any bytes: what is no UTF-8 becomes U+FFFD. */
export function textUpToNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
