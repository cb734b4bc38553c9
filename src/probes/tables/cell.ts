/**
 * Returns a mutable double in element 0, because V8 would allocate a new double whenever a closure variable changes.
 * Arrays of more than 64 bytes do not move, so V8 need not load their address at each use.
 */
export function cell(value = 0): Float64Array {
  return new Float64Array(16).fill(value);
}
