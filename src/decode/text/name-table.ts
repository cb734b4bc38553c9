/** Looks up bytes in a fixed list of names without making strings. */

export interface NameLookUp {
  /** Returns the name's index in the list, or -1. `hash` is the hash of the bytes, computed with `hashByte`. */
  find(hash: number, bytes: Uint8Array, from: number, to: number): number;
}

/** Adds a byte to a hash. The hash of no bytes is 0. */
export function hashByte(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + byte) | 0;
}

/** If a name occurs twice, `find` returns the lower index. */
export function makeNameLookUp(names: readonly string[]): NameLookUp {
  const spelled = names.map((name) => Buffer.from(name, 'latin1'));
  let size = 16;
  while (size < names.length * 4) size *= 2;
  const mask = size - 1;
  const places = new Int32Array(size).fill(-1);
  const hashes = new Int32Array(names.length);
  spelled.forEach((bytes, i) => {
    hashes[i] = bytes.reduce(hashByte, 0);
    let place = spread(hashes[i]) & mask;
    while (places[place] >= 0) place = (place + 1) & mask;
    places[place] = i;
  });
  return {
    find: (hash, bytes, from, to) => {
      for (let place = spread(hash) & mask; ; place = (place + 1) & mask) {
        const i = places[place];
        if (i < 0) return -1;
        if (hashes[i] === hash && isSame(spelled[i], bytes, from, to)) return i;
      }
    },
  };
}

function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}

function isSame(name: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[from + i]) return false;
  return true;
}
