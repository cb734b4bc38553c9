/** Names for the addresses of functions in records. A kernel has about 50,000 functions. */
import { globMatcher } from '../../config/units/globs.ts';
import { watchModules } from '../../host/modules.ts';
import { knownFunctions, readKallsyms } from '../../host/symbols.ts';
import type { FunctionLookup, FunctionNames } from '../../model/function-names.ts';
import type { FunctionFilter } from '../../model/tracer.ts';
import { functionAddresses } from '../../tracefs/functions.ts';

export interface FunctionSymbols {
  /** Undefined when no source shows addresses. Then the kernel must write the names, as text. */
  names: FunctionNames | undefined;
  warnings: readonly string[];
  /** Checks whether modules were loaded or removed. Returns true if so, with the names updated. */
  refresh(): boolean;
}

/**
 * Names for records of function tracers: from tracefs if it shows addresses (which needs no capability), else from
 * /proc/kallsyms. Keeps only functions that the filter matches.
 */
export function functionSymbols(root: string, filter: FunctionFilter): FunctionSymbols {
  const wanted = wantedBy(filter);
  const modules = watchModules();
  const symbols = knownFunctions([
    () => functionAddresses(root, wanted) ?? { reason: `${root} does not expose function addresses` },
    () => readKallsyms(wanted),
  ]);
  if ('reason' in symbols) {
    const warning = `reading functions as text, at a higher cost: ${symbols.reason}`;
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
  /** Follows modules that come and go, once names were looked up. */
  refresh(): void;
}

/**
 * Names for addresses in events, which can lie anywhere in any function. /proc/kallsyms comes first, because tracefs
 * only lists functions that can be traced.
 */
export function eventSymbols(root: string): EventSymbols {
  const modules = watchModules();
  let symbols: ReturnType<typeof knownFunctions> | undefined;
  return {
    lookup: () => {
      const tracefs = () =>
        functionAddresses(root) ?? { reason: `${root} does not expose function addresses` };
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

/** Functions called by the filtered ones can be any function of the kernel. */
function wantedBy({ functions, maxDepth }: FunctionFilter): (name: string) => boolean {
  return functions.length === 0 || maxDepth !== 1 ? () => true : globMatcher(functions);
}
