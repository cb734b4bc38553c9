/** 1 for bytes that occur in names of events and functions: C identifiers, and `.` and `$`, which compilers add. */
export const NAME_BYTES = new Uint8Array(256);
for (const letter of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$') {
  NAME_BYTES[letter.charCodeAt(0)] = 1;
}
