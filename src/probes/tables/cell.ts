/**
 * A double that handlers read and write without boxing. V8 allocates a heap object for a closure variable that changes.
 * An array of up to 64 bytes would be in the heap and could move, so V8 would look up its address at each use.
 */
export function cell(value = 0): Float64Array {
  return new Float64Array(16).fill(value);
}
