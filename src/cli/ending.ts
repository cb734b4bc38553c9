/** Handles signals that end a command. Ignores repetitions for two seconds, because npm can pass Ctrl-C on twice. */

export const REPEAT_MS = 2000;

/** Calls `again` for signals later than `REPEAT_MS` after the first. Returns a function that removes the handlers. */
export function onEndSignals(
  signals: readonly NodeJS.Signals[],
  { first, again }: { first(signal: NodeJS.Signals): void; again?(signal: NodeJS.Signals): void },
  now: () => number = () => performance.now(),
): () => void {
  let firstAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (firstAt === undefined) {
      firstAt = now();
      first(signal);
    } else if (now() - firstAt > REPEAT_MS) again?.(signal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}
