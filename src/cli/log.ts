/** The log: structured lines on standard error. */
import pino from 'pino';
import type { AgentConfig } from '../config/schema.ts';
import type { Log } from '../model/log.ts';
import { logfmtLine } from './logfmt.ts';

export interface RunLog extends Log {
  setLevel(level: AgentConfig['log']['level']): void;
}

/** Creates a log that writes each line synchronously, so that no line is lost when the process ends. */
export function createLog({ level, format }: AgentConfig['log']): RunLog {
  const stderr = pino.destination({ dest: 2, sync: true });
  // Ignore write errors, so that the agent continues if the program that reads the log has ended.
  stderr.on('error', () => {});
  const lines = format === 'json' ? stderr : { write: (json: string) => stderr.write(logfmtLine(json)) };
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    lines,
  );
  return {
    setLevel: (to) => {
      logger.level = to;
    },
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}
