/** Owners of journal entries. An owner is a tracer, or a tracer's changes to the top level itself. */

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
