/** Finds names of kernel functions by address in /proc/kallsyms as the kernel itself does: kallsyms_lookup(). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

export interface Symbols {
  /** Name of the symbol that contains an address; `module: true` adds ` [module]`, as `%ps` prints it. */
  nameOf(address: bigint, how?: { module: boolean }): string;
}

export function readSymbols(): Symbols {
  const addresses: bigint[] = [];
  const names: string[] = [];
  const modules: string[] = [];
  const lines = readFileSync('/proc/kallsyms', 'utf8').trimEnd().split('\n');
  const parsed = lines.map((line) => {
    const [, address, name, module] = /^([0-9a-f]+) \S (\S+)(?:\t\[(.*)\])?$/.exec(line) ?? [];
    assert.ok(address, `not understood: ${line}`);
    return { address: BigInt(`0x${address}`), name, module: module ?? '' };
  });
  assert.ok(
    parsed.some(({ address }) => address !== 0n),
    '/proc/kallsyms hides its addresses',
  );
  // The sort is stable: if one address has several names, the kernel takes the first that it lists.
  parsed.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  for (const { address, name, module } of parsed) {
    if (addresses.at(-1) === address) continue;
    addresses.push(address);
    names.push(name);
    modules.push(module);
  }
  return {
    nameOf: (address, { module } = { module: false }) => {
      let low = 0;
      let high = addresses.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (addresses[middle] <= address) low = middle + 1;
        else high = middle;
      }
      const name = names[low - 1] ?? `0x${address.toString(16)}`;
      return module && modules[low - 1] ? `${name} [${modules[low - 1]}]` : name;
    },
  };
}
