/** Finds out why a probe cannot use an event. */
import type { didYouMean } from '../../config/suggest.ts';
import type { EventFormat } from '../../model/format.ts';
import type { FunctionLookup } from '../../model/function-names.ts';
import type { EventNeed } from '../../probes/probe.ts';
import type { FormatCache } from './format-cache.ts';

export interface Search {
  where: string;
  hint: typeof didYouMean;
  names: () => ReturnType<FunctionLookup>;
  /** Why the agent could not define some kprobes and uprobes, by event name. */
  refused: ReadonlyMap<string, string> | undefined;
  /** Returns why the reader cannot provide an event's fields; undefined if it can. */
  unreadable: ((type: EventNeed & { format: EventFormat }) => string | undefined) | undefined;
}

/** Returns why a probe cannot use an event; undefined if it can. */
export function whatIsMissing(
  need: EventNeed,
  formats: FormatCache,
  { where, hint, names, refused, unreadable }: Search,
): string | undefined {
  const format = formats.get(need.event);
  if (format === undefined)
    return (
      formats.problem(need.event) ??
      refused?.get(need.event) ??
      `${where} has no event ${need.event}${hint(need.event, formats.events())}`
    );
  const fields = format.fields.map((field) => field.name);
  const lacking = need.fields.filter((field) => !fields.includes(field));
  if (lacking.length > 0)
    return `event ${need.event} of ${where} has no field ${lacking.join(', ')}${hint(lacking[0], fields)}`;
  const problem = unreadable?.({ ...need, format });
  if (problem !== undefined) return `the text of event ${need.event} cannot be read: ${problem}`;
  if (!hasAddresses(need)) return undefined;
  const result = names();
  return 'reason' in result ? `no function names for event ${need.event}: ${result.reason}` : undefined;
}

export function hasAddresses({ addresses = [] }: EventNeed): boolean {
  return addresses.length > 0;
}

/** Calls `lookup` once for each argument. */
export function lookedUpOnce(lookup: FunctionLookup): FunctionLookup {
  const results = new Map<string, ReturnType<FunctionLookup>>();
  return (place) => {
    const result = results.get(place) ?? lookup(place);
    results.set(place, result);
    return result;
  };
}
