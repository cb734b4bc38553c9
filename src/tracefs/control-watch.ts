/**
 * Reports writes to control files. Uses inotify, because polling would miss a setting that another user soon restores.
 * Does not watch the directory of `trace_marker`, because each marker would cause an inotify event.
 */
import { closeSync, constants, type FSWatcher, openSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';

export interface ControlWatch {
  /** Why some existing files are not watched, or ''. */
  problem: string;
  close(): void;
}

const FILES = [
  'tracing_on',
  'trace',
  'trace_clock',
  'trace_options',
  'options/overwrite',
  'current_tracer',
  'buffer_size_kb',
  'buffer_subbuf_size_kb',
  'free_buffer',
  'snapshot',
  'tracing_cpumask',
  'set_event',
  'set_event_pid',
  'set_event_notrace_pid',
  'set_ftrace_pid',
  'set_ftrace_notrace_pid',
];
const IN_EVENT_DIRS = ['enable', 'filter', 'trigger'];
const IN_CPU_DIRS = ['trace', 'buffer_size_kb', 'snapshot'];

/** What to watch in addition to `FILES`. */
export interface WatchedParts {
  /** Events that are recorded, as `system:name`. */
  events: readonly string[];
  cpus: readonly number[];
  /** Full paths of files outside the instance's directory. */
  others: readonly string[];
}

/** Calls `onWrite` with the path of each file that is written. Skips files that the kernel lacks. */
export function watchControls(
  dir: string,
  { events, cpus, others }: WatchedParts,
  onWrite: (file: string) => void,
): ControlWatch {
  const watchers: FSWatcher[] = [];
  const held: number[] = [];
  let problem = '';

  const attempt = (path: string, step: () => void): void => {
    try {
      step();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') problem ||= `inotify cannot watch ${path}: ${code}`;
    }
  };
  const add = (path: string, onEvent: (name: string | null) => void): void =>
    attempt(path, () => {
      const watcher = watch(path, { persistent: false }, (_kind, name) => onEvent(name));
      watcher.on('error', () => watcher.close());
      watchers.push(watcher);
    });
  const addFile = (path: string) => add(path, () => onWrite(path));
  const addDirectory = (path: string, names: readonly string[]): void =>
    add(path, (name) => {
      if (name !== null && names.includes(name)) onWrite(join(path, name));
    });

  for (const file of FILES) addFile(join(dir, file));
  for (const file of others) addFile(file);
  for (const cpu of cpus) addDirectory(join(dir, 'per_cpu', `cpu${cpu}`), IN_CPU_DIRS);
  for (const path of eventDirectories(dir, events)) {
    addDirectory(path, IN_EVENT_DIRS);
    // Since 6.6, the kernel may replace the inode of a directory that is not open (fs/tracefs/event_inode.c).
    attempt(path, () => held.push(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)));
  }
  return {
    problem,
    close: () => {
      for (const watcher of watchers.splice(0)) watcher.close();
      for (const fd of held.splice(0)) closeSync(fd);
    },
  };
}

/** Returns each directory whose file `enable` can switch one of the events on or off. */
function eventDirectories(dir: string, events: readonly string[]): string[] {
  const top = join(dir, 'events');
  const own = events.map((event) => join(top, event.replace(':', '/')));
  return own.length === 0 ? [] : [...new Set([top, ...own.map(dirname), ...own])];
}
