/**
 * Handles the signals that end a command. One Ctrl-C can send the same signal twice: once from the terminal and once
 * from npm, if npm started the agent. Therefore, further signals are ignored for two seconds after the first one.
 */

export const REPEAT_MS = 2000;

/**
 * Calls `first` for the first signal, and `again` for each signal that arrives more than `REPEAT_MS` later. Returns a
 * function that removes the handlers.
 */
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
