/** Formats of control files. For many of these files, the text to write differs from the text that a read returns. */

/**
 * `choice`: all choices, the current one in brackets. `size`: a number, or `7 (expanded: 1408)`. `words`: options such
 * as `A NO_B`, one per write. `switch`: `0` or `1`, followed by `*` if a trigger uses the event. `functions` and
 * `pids`: lists. Lists are restored by emptying, because the agent appends only to empty lists.
 */
export type Form = 'value' | 'choice' | 'mask' | 'size' | 'words' | 'switch' | 'functions' | 'pids';

const WORD = '[A-Za-z0-9_][A-Za-z0-9_.-]*';
const FORMS: readonly (readonly [RegExp, Form])[] = [
  [/^(tracing_on|current_tracer|tracing_thresh|tracing_max_latency|max_graph_depth)$/, 'value'],
  [/^buffer_subbuf_size_kb$/, 'value'],
  [new RegExp(`^options/${WORD}$`), 'value'],
  [/^osnoise\/options$/, 'words'],
  [/^hwlat_detector\/mode$/, 'choice'],
  [new RegExp(`^(osnoise|hwlat_detector)/${WORD}$`), 'value'],
  [/^trace_clock$/, 'choice'],
  [/^buffer_size_kb$/, 'size'],
  [/^tracing_cpumask$/, 'mask'],
  [new RegExp(`^events/${WORD}/${WORD}/enable$`), 'switch'],
  [/^(set_ftrace_filter|set_ftrace_notrace|set_graph_function|set_graph_notrace)$/, 'functions'],
  [/^(set_ftrace_pid|set_ftrace_notrace_pid)$/, 'pids'],
  // In /sys/block, a disk's name can contain `!`, as in `cciss!c0d0`.
  [/^\/sys\/block\/(?!\.+\/)[A-Za-z0-9_!.:+-]+\/trace\/enable$/, 'switch'],
];

/** Returns the form of a control file (a path as in `JournalPart`), or undefined if the file must not be journaled. */
export function formOf(file: string): Form | undefined {
  return FORMS.find(([pattern]) => pattern.test(file))?.[1];
}

export function isList(form: Form): form is 'functions' | 'pids' {
  return form === 'functions' || form === 'pids';
}

/** Two texts have the same normal form if they mean the same setting. */
export function normalForm(form: Form, text: string): string {
  const trimmed = text.trim();
  switch (form) {
    case 'choice':
      return /\[([^\]]+)\]/.exec(trimmed)?.[1] ?? trimmed;
    case 'mask':
      return trimmed
        .toLowerCase()
        .replaceAll(',', '')
        .replace(/^0+(?=.)/, '');
    case 'size':
      return /^\d+/.exec(trimmed)?.[0] ?? trimmed;
    case 'switch':
      return trimmed.replace(/\*$/, '');
    case 'words':
      return words(trimmed).sort().join(' ');
    case 'functions':
    case 'pids':
      return listLines(trimmed).join('\n');
    case 'value':
      return trimmed;
  }
}

/** Returns the values to write, one per write, so that the file contains `text` again. */
export function valuesToWrite(form: Form, text: string): string[] {
  if (form === 'words') return words(text);
  // Write the size after `expanded`, because the smaller size would be too small for the next user.
  if (form === 'size') return [/\(expanded: (\d+)\)/.exec(text)?.[1] ?? normalForm(form, text)];
  if (form === 'mask') return [text.trim()];
  return [normalForm(form, text)];
}

/** Splits a text into words. Leaves out `DEFAULTS`, which the kernel prints if all options have their defaults. */
function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '' && word !== 'DEFAULTS');
}

/** Returns the entries of a list file. `#### all functions enabled ####` and `no pid` mean an empty list. */
export function listLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#') && line !== 'no pid');
}

/** Removes the module from a line `name [module]`. A command such as `name:traceoff:unlimited` stays unchanged. */
function functionOfLine(line: string): string {
  return line.replace(/ \[[^\]]*\]$/, '').trim();
}

/** Converts a glob of the kernel to a pattern: `*` matches any text, `?` matches one character. */
export function globPattern(glob: string): RegExp {
  const source = [...glob].map((char) => {
    if (char === '*') return '.*';
    return char === '?' ? '.' : char.replace(/[^A-Za-z0-9_]/, '\\$&');
  });
  return new RegExp(`^${source.join('')}$`);
}

/** Whether every line of a filter's text is a function that matches one of the globs. */
export function coveredBy(text: string, globs: readonly string[]): boolean {
  const patterns = globs.map(globPattern);
  return listLines(text).every((line) => patterns.some((glob) => glob.test(functionOfLine(line))));
}
