/**
 * The least that a program must do with the same pages, as a reference for the pipeline: copies each page, walks over
 * its events, pairs the enter and exit events of syscalls by task, and counts the durations in histograms. Does not
 * merge the CPUs, check the pages, handle losses or other events, or know tasks that move to another CPU late.
 */
import { wordOffset } from '../src/decode/fields.ts';
import { parseFormat } from '../src/decode/format.ts';
import { PADDING, TIME_EXTEND, TIME_STAMP, TWO_POW_27 } from '../src/decode/page.ts';
import type { PageLayout } from '../src/model/format.ts';
import type { TraceMetadata } from '../src/model/source.ts';
import { TWO_POW_32 } from '../src/model/time.ts';

const ENTER = 'raw_syscalls:sys_enter';
const EXIT = 'raw_syscalls:sys_exit';
const MOST_PIDS = 1 << 22;
const MOST_SYSCALLS = 1024;
/** Buckets per histogram: one for 0 ns and for each power of two of nanoseconds. The last has no upper limit. */
const BUCKETS = 33;

/** Returns a function that does this for all pages, and returns the number of events. */
export function plainLoop(metadata: TraceMetadata, pages: readonly Uint8Array[][]): () => number {
  const { layout } = metadata;
  const [enter, exit] = [ENTER, EXIT].map((event) => {
    const format = parseFormat('raw_syscalls', metadata.formatText(event) ?? '');
    if ('error' in format) throw new Error(`${event}: ${format.error}`);
    return format;
  });
  const [pidAt, idAt] = ['common_pid', 'id'].map((name) => wordOffset(exit, name));
  const bytes = new Uint8Array(layout.pageSize + 4);
  const words = new Int32Array(bytes.buffer);
  const stamps = new Float64Array(MOST_PIDS);
  const counts = new Float64Array(MOST_SYSCALLS * BUCKETS);
  const sums = new Float64Array(MOST_SYSCALLS);
  const [enterId, exitId] = [enter.id, exit.id];
  let events = 0;

  const walk = (): void => {
    let at = layout.dataOffset >> 2;
    const end = (layout.dataOffset + (words[layout.commitOffset >> 2] & 0x07ffffff)) >> 2;
    let now = pageStamp(words, layout);
    while (at < end) {
      const head = words[at];
      const form = head & 31;
      const delta = head >>> 5;
      if (form === TIME_EXTEND) {
        now += delta + (words[at + 1] >>> 0) * TWO_POW_27;
        at += 2;
        continue;
      }
      if (form === TIME_STAMP) {
        // Not `absoluteStamp`: with a call for this rare case, V8 makes the loop half as slow again.
        now = delta + (words[at + 1] >>> 0) * TWO_POW_27 + Math.floor(now / 2 ** 59) * 2 ** 59;
        at += 2;
        continue;
      }
      now += delta;
      if (form === PADDING) {
        if (delta === 0) return;
        at += 1 + (words[at + 1] >> 2);
        continue;
      }
      const data = form === 0 ? at + 2 : at + 1;
      const type = words[data] & 0xffff;
      events++;
      if (type === enterId) stamps[words[data + pidAt]] = now;
      else if (type === exitId) {
        const pid = words[data + pidAt];
        const since = stamps[pid];
        if (since !== 0) {
          stamps[pid] = 0;
          const ns = now - since;
          const row = words[data + idAt] & (MOST_SYSCALLS - 1);
          counts[row * BUCKETS + 32 - Math.clz32(Math.min(ns, 0xffffffff))]++;
          sums[row] += ns;
        }
      }
      at = form === 0 ? at + 1 + (words[at + 1] >> 2) : at + 1 + form;
    }
  };

  return () => {
    events = 0;
    for (const own of pages)
      for (const page of own) {
        bytes.set(page);
        walk();
      }
    return events;
  };
}

function pageStamp(words: Int32Array, { timestampOffset }: PageLayout): number {
  const at = timestampOffset >> 2;
  return (words[at] >>> 0) + (words[at + 1] >>> 0) * TWO_POW_32;
}
