/** Typed arrays that grow by doubling. */

export function grownFloats(old: Float64Array, atLeast: number): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(Math.max(atLeast, old.length * 2, 16));
  grown.set(old);
  return grown;
}

export function grownWords(old: Int32Array, atLeast: number): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(Math.max(atLeast, old.length * 2, 16));
  grown.set(old);
  return grown;
}
