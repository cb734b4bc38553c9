/**
 * The log as rooms see it: fields first, then a constant sentence that can be searched for.
 * What writes it, and where to, is the command line's business.
 */
export type LogMethod = (fields: Record<string, unknown>, message: string) => void;

export interface Log {
  debug: LogMethod;
  info: LogMethod;
  warn: LogMethod;
  error: LogMethod;
}
