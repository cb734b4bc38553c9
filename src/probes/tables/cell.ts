/**
 * Returns an array whose element 0 is a mutable double for handlers. In a closure variable, V8 would allocate a new
 * double at each change. The array has more than 64 bytes, because V8 can move smaller arrays and would load the
 * array's address at each use.
 */
export function cell(value = 0): Float64Array {
  return new Float64Array(16).fill(value);
}
