/**
 * A double that handlers read and write without boxing it. A variable of a closure that changes is a heap object for V8.
 * An array of up to 64 bytes would lie in the heap and could move, so V8 would look up its address at each use.
 */
export function cell(value = 0): Float64Array {
  return new Float64Array(16).fill(value);
}
