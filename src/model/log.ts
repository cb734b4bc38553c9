/**
 * The log interface for all rooms: fields first, then a constant sentence that can be searched for. The command line
 * decides how and where it is written.
 */
export type LogMethod = (fields: Record<string, unknown>, message: string) => void;

export interface Log {
  debug: LogMethod;
  info: LogMethod;
  warn: LogMethod;
  error: LogMethod;
}
