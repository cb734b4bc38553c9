/** Names of owners of journal entries: `TRACER`, or `TRACER at the top level` for the top level's own files. */

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
