/**
 * Names for the addresses in records of function tracers: from tracefs where it tells addresses, which takes no
 * capability, else from /proc/kallsyms. Only of functions that the filter lets through: a kernel has some 50,000.
 */
import { globMatcher } from '../../config/units/globs.ts';
import { watchModules } from '../../host/modules.ts';
import { knownFunctions, readKallsyms } from '../../host/symbols.ts';
import type { FunctionNames } from '../../model/function-names.ts';
import type { FunctionFilter } from '../../model/tracer.ts';
import { functionAddresses } from '../../tracefs/functions.ts';

export interface FunctionSymbols {
  /** Undefined where nothing tells addresses: then the kernel must write the names, in text. */
  names: FunctionNames | undefined;
  warnings: readonly string[];
  /** Looks whether modules came or went; true when they did, and names are as they are now. */
  refresh(): boolean;
}

export function functionSymbols(root: string, filter: FunctionFilter): FunctionSymbols {
  const wanted = wantedBy(filter);
  const modules = watchModules();
  const found = knownFunctions([
    () => functionAddresses(root, wanted) ?? { reason: `${root} does not tell addresses` },
    () => readKallsyms(wanted),
  ]);
  if ('reason' in found) {
    const warning = `functions are read as text, at a higher cost: ${found.reason}`;
    return { names: undefined, warnings: [warning], refresh: modules.changed };
  }
  return {
    names: found,
    warnings: [],
    refresh: () => {
      if (!modules.changed()) return false;
      found.refresh();
      return true;
    },
  };
}

/** What is called by the functions, however deep, can be any. */
function wantedBy({ functions, maxDepth }: FunctionFilter): (name: string) => boolean {
  return functions.length === 0 || maxDepth !== 1 ? () => true : globMatcher(functions);
}
