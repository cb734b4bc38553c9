/** 1 for each byte that names of events and functions can contain: as in C, plus `.` and `$`, which compilers add. */
export const NAME_BYTES = new Uint8Array(256);
for (const letter of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$') {
  NAME_BYTES[letter.charCodeAt(0)] = 1;
}
