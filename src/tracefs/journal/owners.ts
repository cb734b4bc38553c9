/**
 * Names of the owners of journal entries. A tracer's name owns its knobs and options. `TRACER at the top
 * level` owns the changes of the top level's own settings while the tracer runs at the top level.
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
