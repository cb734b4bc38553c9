/**
 * Coalesces concurrent requests for an expensive result. A caller that arrives during a computation joins the next one,
 * so no result is older than its request. At most one computation per kind runs at a time.
 */
export function createShared<T>(make: (kind: string) => Promise<T>): (kind: string) => Promise<T> {
  const making = new Map<string, Promise<T>>();
  const next = new Map<string, Promise<T>>();

  const begin = (kind: string): Promise<T> => {
    const made = make(kind).finally(() => {
      if (making.get(kind) === made) making.delete(kind);
    });
    making.set(kind, made);
    return made;
  };

  return (kind) => {
    const current = making.get(kind);
    if (current === undefined) return begin(kind);
    let following = next.get(kind);
    if (following === undefined) {
      const start = () => {
        next.delete(kind);
        return begin(kind);
      };
      following = current.then(start, start);
      next.set(kind, following);
    }
    return following;
  };
}
