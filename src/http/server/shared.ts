/**
 * Many ask for the same, which costs something to make: who comes while it is being made gets the next one, together
 * with all who come until that is begun. So everybody's is younger than the question, and however many ask, no more
 * than one of a kind is in the making.
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
