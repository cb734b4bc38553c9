/**
 * Names of the owners of journal entries. The owner `TRACER` has the options of a tracer and the system-wide files that
 * the tracer needs. The owner `TRACER at the top level` has the top level's own files while the tracer runs there. The
 * owner `markers at the top level` has these files while the agent reads markers from the top level's buffer.
 */

const AT_TOP_LEVEL = ' at the top level';

export function topLevelOwner(tracer: string): string {
  return `${tracer}${AT_TOP_LEVEL}`;
}

export function isTopLevelOwner(owner: string): boolean {
  return owner.endsWith(AT_TOP_LEVEL);
}

export function tracerOf(owner: string): string {
  return isTopLevelOwner(owner) ? owner.slice(0, -AT_TOP_LEVEL.length) : owner;
}
