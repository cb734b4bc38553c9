/** Bytes that names of events and functions are made of, as 1: C's, and the compiler's `.isra.0` and `$`. */
export const NAME_BYTES = new Uint8Array(256);
for (const letter of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$') {
  NAME_BYTES[letter.charCodeAt(0)] = 1;
}
