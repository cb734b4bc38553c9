/**
 * Lets a few tasks run at once, a few more wait, and turns the rest away: a scrape costs memory and time on the
 * node that is being watched.
 */
export interface Gate {
  /** Resolves to a function to call when done, or to undefined when too many wait already. */
  enter(): Promise<(() => void) | undefined>;
}

export function createGate(atOnce: number, waiting: number): Gate {
  let running = 0;
  const queue: (() => void)[] = [];
  const leave = () => {
    const next = queue.shift();
    // The place is handed on, not freed: nobody can slip in before the one who waits longest.
    if (next === undefined) running--;
    else next();
  };
  return {
    enter: async () => {
      if (running >= atOnce) {
        if (queue.length >= waiting) return undefined;
        await new Promise<void>((resolve) => queue.push(resolve));
      } else running++;
      return leave;
    },
  };
}
