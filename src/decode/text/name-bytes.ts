/** 1 for each byte that names of events and functions can contain. Compilers add `.` and `$`. */
export const NAME_BYTES = new Uint8Array(256);
for (const letter of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$') {
  NAME_BYTES[letter.charCodeAt(0)] = 1;
}
