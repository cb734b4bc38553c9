/** Lets a few tasks run at once while the others wait: a scrape costs time on the node that is being watched. */
export interface Gate {
  /** Resolves to a function to call when done. */
  enter(): Promise<() => void>;
}

export function createGate(atOnce: number): Gate {
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
      if (running >= atOnce) await new Promise<void>((resolve) => queue.push(resolve));
      else running++;
      return leave;
    },
  };
}
