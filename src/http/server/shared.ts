/**
 * Coalesces concurrent requests for an expensive result. Callers that arrive during a computation share the next
 * computation, so a result is never older than the call.
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
