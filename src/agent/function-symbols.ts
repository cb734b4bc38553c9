/** Names for the addresses in records of function tracers: from tracefs where it tells addresses, else from kallsyms. */
import type { FunctionNames } from '../model/function-names.ts';
import type { FunctionFilter } from '../model/tracer.ts';

export interface FunctionSymbols {
  /** Undefined where nothing tells addresses. */
  names: FunctionNames | undefined;
  warnings: readonly string[];
  /** Looks whether modules came or went; true when they did, and names are as they are now. */
  refresh(): boolean;
}

export function functionSymbols(_root: string, _filter: FunctionFilter): FunctionSymbols {
  return { names: undefined, warnings: [], refresh: () => false };
}
