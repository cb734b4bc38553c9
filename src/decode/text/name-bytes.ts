/**
 * For each byte value: 1 if names of events and functions can contain it. Allowed are the characters of C identifiers,
 * and `.` and `$`, which compilers add.
 */
export const NAME_BYTES = new Uint8Array(256);
for (const letter of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$') {
  NAME_BYTES[letter.charCodeAt(0)] = 1;
}
