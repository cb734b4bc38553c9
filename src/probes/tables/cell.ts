/**
 * Returns an array; handlers use element 0 as a mutable double. V8 would allocate a double at each change of a closure
 * variable. A smaller array (up to 64 bytes) could move, so V8 would load its address at each use.
 */
export function cell(value = 0): Float64Array {
  return new Float64Array(16).fill(value);
}
