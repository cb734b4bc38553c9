/**
 * Names of the owners of journal entries. `TRACER` owns the knobs and options of a tracer. `TRACER at the top
 * level` owns the top level's own settings while the tracer runs at the top level; `markers at the top level`
 * owns them while the agent reads markers from the top level's buffer.
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
