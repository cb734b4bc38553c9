/**
 * Returns an array whose element 0 handlers use as a mutable double. If a closure variable held the double,
 * V8 would allocate a new one at each change. The array has more than 64 bytes, because V8 can move a smaller
 * array and would therefore load its address at each use.
 */
export function cell(value = 0): Float64Array {
  return new Float64Array(16).fill(value);
}
