/** Names of environment variables. Separate from settings.ts, which loads the schema library. */
export const PREFIX = 'FTRACE_EXPORTER_';
/** Path of the config file. */
export const CONFIG_FILE = `${PREFIX}CONFIG_FILE`;
