/** Recognises files that replay can't read, and says what to do instead. */

interface Kind {
  /** Matches the file's first bytes, converted to text with one character per byte. */
  pattern: RegExp;
  is: string;
}

const UNPACK = (by: string, how: string) =>
  `is compressed with ${by}: unpack it first (${how}) and replay the unpacked file`;

/** Kinds of files. The first pattern that matches determines the kind. */
const KINDS: readonly Kind[] = [
  { pattern: /^$/, is: 'is empty' },
  { pattern: /^\x1f\x8b/, is: UNPACK('gzip', 'gunzip') },
  { pattern: /^\x28\xb5\x2f\xfd/, is: UNPACK('zstd', 'unzstd') },
  { pattern: /^\xfd7zXZ\0/, is: UNPACK('xz', 'unxz') },
  { pattern: /^BZh[1-9]/, is: UNPACK('bzip2', 'bunzip2') },
  { pattern: /^\x04\x22\x4d\x18/, is: UNPACK('lz4', 'unlz4') },
  { pattern: /^PK\x03\x04/, is: UNPACK('zip', 'unzip') },
  {
    pattern: /^(?:PERFILE2|2ELIFREP)/,
    is: 'is a file of perf record: record the same events with trace-cmd record',
  },
  {
    pattern: /^\xc1\x1f\xfc\xc1/,
    is: 'is a CTF trace of LTTng or perf: record the same events with trace-cmd record',
  },
  {
    pattern: /^\s*<(?:!doctype|html)/i,
    is: 'is a web page: if systrace made it, copy the trace in it, from "# tracer:" on, to a file, and replay that file',
  },
  {
    pattern: /^\s*[{[]\s*["{[]/,
    is: 'is JSON: replay the file that it was made from (a trace.dat file, or text of trace or trace_pipe)',
  },
  {
    pattern: /^ *\S.*? +\d+(?:\/\d+)? +\[\d{3,}\] +\d+\.\d{6,9}: +(?:\d+ +)?[\w-]+:\w+: /m,
    is: 'is the output of perf script: record the same events with trace-cmd record',
  },
  {
    pattern: /^ *\d+,\d+ +\d+ +\d+ +\d+\.\d{9} +\d+ +[A-Z]+ /m,
    is: 'is the output of blkparse: for the probe blk, save text of trace or trace_pipe with the tracer blk on',
  },
  {
    pattern: /^ *\S.*? +\d+ \d+ \d+ [0-9a-f]{8} [0-9a-f]{8,} \[[0-9a-f]+\] \d+\.\d{3}ms /m,
    is: 'is text that was made with the option verbose: record it again with 0 in options/verbose',
  },
  {
    pattern: /^ *(?:\d+\.\d{6} \| +)?\d+\) [^|]*(?:\(\) \{|\(\);|\})$/m,
    is: 'is text of function_graph without durations, so there is nothing to measure: record it again with 1 in options/funcgraph-duration',
  },
  {
    pattern: /^ *(?:[!+#*@$] )?\d+\.\d{3} us +\| .*(?:\(\);|\})/m,
    is: 'is text of function_graph without CPUs: record it again with 1 in options/funcgraph-cpu',
  },
  {
    pattern: /^# tracer: .*\n(?:#.*\n)*\w+: \w+=/m,
    is: 'is text without task, CPU and time at the beginning of each line: record it again with 1 in options/context-info',
  },
  {
    pattern: /^# tracer: .*\n(?:#.*\n)*[^#\n]/m,
    is: 'begins like text of trace, but has no line with an event: record it again with 0 in options/raw, hex and bin, and 1 in options/context-info',
  },
];

const LOOKED_AT = 8192;

/** Returns a message without the file's name, such as `is empty`. */
export function whatItIs(head: Uint8Array): string {
  const text = Buffer.from(head.subarray(0, LOOKED_AT)).toString('latin1');
  return (
    KINDS.find(({ pattern }) => pattern.test(text))?.is ??
    'is neither a trace.dat file nor text of trace or trace_pipe: it has no line with an event of the kernel'
  );
}
