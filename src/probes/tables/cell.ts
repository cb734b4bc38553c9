/**
 * Returns an array whose element 0 handlers use as a mutable double, because V8 allocates a heap object for a closure
 * variable that changes. An array of up to 64 bytes can move, so V8 would load the array's address at each use.
 */
export function cell(value = 0): Float64Array {
  return new Float64Array(16).fill(value);
}
