/**
 * Tells ftrace-exporter which span this thread is in, so that the kernel's spans become its children.
 *
 *     node trace-context.mjs FILE      writes FILE within a span, and prints the span's traceparent
 *
 * TRACEPARENT in the environment: the span to continue; without it the program makes up a span.
 * TRACE_MARKER: the file to write into; default /sys/kernel/tracing/trace_marker.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fsyncSync, openSync, writeSync } from 'node:fs';

/** The file for markers. If it is missing or may not be written, the program continues without markers. */
function openMarkers(path) {
  try {
    return openSync(path, constants.O_WRONLY);
  } catch (error) {
    console.error(`trace_marker: ${error.message}`);
    return undefined;
  }
}

/**
 * Calls `work` in a span. It must be synchronous: a marker counts for the thread that writes it, which here is the one
 * that runs JavaScript. Other threads do the work of libuv's pool (`fs.promises`, DNS).
 */
function inSpan(marker, traceparent, work) {
  if (marker === undefined) return work();
  // One write is one marker.
  writeSync(marker, `traceparent=${traceparent} begin`);
  try {
    return work();
  } finally {
    writeSync(marker, `traceparent=${traceparent} end`);
  }
}

function newTraceparent() {
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
}

function save(path) {
  const file = openSync(path, 'w', 0o600);
  writeSync(file, new Uint8Array(1 << 20));
  fsyncSync(file);
  closeSync(file);
}

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.error('usage: trace-context.mjs FILE');
  process.exit(2);
}
const traceparent = process.env.TRACEPARENT || newTraceparent();
const marker = openMarkers(process.env.TRACE_MARKER ?? '/sys/kernel/tracing/trace_marker');
inSpan(marker, traceparent, () => save(path));
console.log(traceparent);
