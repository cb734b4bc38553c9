/**
 * Names for the addresses in records of function tracers: from tracefs if it shows addresses (which needs no
 * capability), else from /proc/kallsyms. Only functions that the filter matches are kept: a kernel has about 50,000.
 */
import { globMatcher } from '../../config/units/globs.ts';
import { watchModules } from '../../host/modules.ts';
import { knownFunctions, readKallsyms } from '../../host/symbols.ts';
import type { FunctionNames } from '../../model/function-names.ts';
import type { FunctionFilter } from '../../model/tracer.ts';
import { functionAddresses } from '../../tracefs/functions.ts';

export interface FunctionSymbols {
  /** Undefined when no source shows addresses. Then the kernel must write the names, as text. */
  names: FunctionNames | undefined;
  warnings: readonly string[];
  /** Checks whether modules were loaded or removed. Returns true if so, with the names updated. */
  refresh(): boolean;
}

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

/** Names for addresses in events, which can lie anywhere in a function. */
export function eventSymbols(root: string): Omit<FunctionSymbols, 'names'> & { names: FunctionNames } {
  const modules = watchModules();
  const symbols = knownFunctions(
    [readKallsyms, () => functionAddresses(root) ?? { reason: `${root} does not expose function addresses` }],
    true,
  );
  if ('reason' in symbols) {
    const warning = `functions in labels are "unknown": ${symbols.reason}`;
    return { names: { nameOf: () => undefined, generation: 0 }, warnings: [warning], refresh: () => false };
  }
  return { names: symbols, warnings: [], refresh: () => modules.changed() && symbols.refresh() };
}

/** Functions called by the filtered ones can be any function of the kernel. */
function wantedBy({ functions, maxDepth }: FunctionFilter): (name: string) => boolean {
  return functions.length === 0 || maxDepth !== 1 ? () => true : globMatcher(functions);
}
