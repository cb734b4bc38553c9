/**
 * The log interface for all code. A call passes fields first, then a constant message that users can search for.
 * `src/cli` determines the destination and the format of the log.
 */
export type LogMethod = (fields: Record<string, unknown>, message: string) => void;

export interface Log {
  debug: LogMethod;
  info: LogMethod;
  warn: LogMethod;
  error: LogMethod;
}
