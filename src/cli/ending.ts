/**
 * Signals that end a command. Process groups and wrappers often send the same request twice: a terminal's Ctrl-C
 * reaches the agent directly and again through npm. A repeat within two seconds is therefore no second request.
 */

export const REPEAT_MS = 2000;

/**
 * Calls `first` for the first signal, and `again` for each that comes later than a repeat. Returns what gives the
 * signals back.
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
