/** Finds the names of kernel functions from the addresses in records. */
import { globMatcher } from '../../config/units/globs.ts';
import { watchModules } from '../../host/modules.ts';
import { knownFunctions, readKallsyms } from '../../host/symbols.ts';
import type { FunctionLookup, FunctionNames } from '../../model/function-names.ts';
import type { FunctionFilter } from '../../model/tracer.ts';
import { functionAddresses } from '../../tracefs/functions.ts';

export interface FunctionSymbols {
  /** Undefined if addresses are unavailable. The agent must then read the records as text, which contains the names. */
  names: FunctionNames | undefined;
  warnings: readonly string[];
  /** Returns whether modules were loaded or removed since the last call, and then updates the names. */
  refresh(): boolean;
}

/** Names for records of function tracers. Prefers tracefs to /proc/kallsyms, because tracefs requires no capability. */
export function functionSymbols(root: string, filter: FunctionFilter): FunctionSymbols {
  const wanted = wantedBy(filter);
  const modules = watchModules();
  const symbols = knownFunctions([() => addressesIn(root, wanted), () => readKallsyms(wanted)]);
  if ('reason' in symbols) {
    const warning = `reading functions as text, which costs more CPU time: ${symbols.reason}`;
    return { names: undefined, warnings: [warning], refresh: modules.changed };
  }
  return {
    names: symbols,
    warnings: [],
    refresh: () => {
      if (!modules.changed()) return false;
      symbols.refresh();
      return true;
    },
  };
}

export interface EventSymbols {
  lookup: FunctionLookup;
  /** Updates the names if modules were loaded or removed. Does nothing before the first `lookup`. */
  refresh(): void;
}

/** Names for addresses in events. Prefers /proc/kallsyms, because tracefs lists only traceable functions. */
export function eventSymbols(root: string): EventSymbols {
  const modules = watchModules();
  let symbols: ReturnType<typeof knownFunctions> | undefined;
  return {
    lookup: () => {
      const tracefs = () => addressesIn(root);
      symbols = knownFunctions([readKallsyms, tracefs], true);
      return 'reason' in symbols
        ? { reason: `${symbols.reason}; with \`reader: trace_pipe\` the kernel writes the names` }
        : symbols;
    },
    refresh: () => {
      if (symbols !== undefined && !('reason' in symbols) && modules.changed()) symbols.refresh();
    },
  };
}

/** With `maxDepth` 1, the tracer records only functions that match the filter, and not their callees. */
function wantedBy({ functions, maxDepth }: FunctionFilter): (name: string) => boolean {
  return functions.length === 0 || maxDepth !== 1 ? () => true : globMatcher(functions);
}

function addressesIn(root: string, wanted?: Parameters<typeof functionAddresses>[1]) {
  return (
    functionAddresses(root, wanted) ?? {
      reason: `${root} does not list addresses of functions, as kernels since 6.5 do`,
    }
  );
}
