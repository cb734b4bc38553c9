/**
 * Converts text of events from `trace-cmd report` to the kernel's text. Most events differ only in padding. Records of
 * tracers, and all events with the option `-R`, differ more. Source: libtraceevent, tep_print_fields() and its plugins;
 * print fmts in kernel/trace/trace_entries.h.
 */

interface Rewrite {
  pattern: RegExp;
  write(match: RegExpExecArray): string;
}

const CONTEXTS = ['irq', 'thread', 'user-ret'];

const SOFTIRQ: Rewrite = { pattern: /^vec=(\d+)$/, write: ([, vec]) => `vec=${vec} [action=?]` };
const REQUEST: Rewrite = {
  pattern: /^dev=(\d+) sector=(\S+) nr_sector=(\d+) bytes=(\d+) .*?rwbs=(\w*) comm=(.*?)(?: cmd=.*)?$/s,
  write: ([, dev, sector, sectors, bytes, rwbs, comm]) =>
    `${device(dev)} ${rwbs} ${bytes} () ${signless(sector)} + ${sectors} [${comm}]`,
};
const DONE: Rewrite = {
  pattern: /^dev=(\d+) sector=(\S+) nr_sector=(\d+) (?:error|errors)=(\S+) .*?rwbs=(\w*)/,
  write: ([, dev, sector, sectors, error, rwbs]) =>
    `${device(dev)} ${rwbs} () ${signless(sector)} + ${sectors} [${signed(error, 32)}]`,
};
/** Events for which the kernel prints the event's name. */
const NAMED: Readonly<Record<string, Rewrite>> = {
  softirq_raise: SOFTIRQ,
  softirq_entry: SOFTIRQ,
  softirq_exit: SOFTIRQ,
  irq_handler_exit: {
    pattern: /^irq=(\d+) ret=(\d+)$/,
    write: ([, irq, ret]) => `irq=${irq} ret=${ret === '0' ? 'unhandled' : 'handled'}`,
  },
  sys_enter: { pattern: /^id=(\S+) args=/, write: ([, id]) => `NR ${signed(id, 64)} (0, 0, 0, 0, 0, 0)` },
  sys_exit: {
    pattern: /^id=(\S+) ret=(\S+)$/,
    write: ([, id, ret]) => `NR ${signed(id, 64)} = ${signed(ret, 64)}`,
  },
  sample_threshold: {
    pattern: /^start=(\d+) duration=(\d+) interference=(\d+)$/,
    write: ([, start, duration, interference]) => `${span(start, duration)} interference ${interference}`,
  },
  nmi_noise: {
    pattern: /^start=(\d+) duration=(\d+)$/,
    write: ([, start, duration]) => span(start, duration),
  },
  irq_noise: {
    pattern: /^start=(\d+) duration=(\d+) desc=(.*) vector=(\d+)$/s,
    write: ([, start, duration, desc, vector]) => `${desc}:${vector} ${span(start, duration)}`,
  },
  softirq_noise: {
    pattern: /^start=(\d+) duration=(\d+) vector=(\d+)$/,
    write: ([, start, duration, vector]) => `       ?:${vector} ${span(start, duration)}`,
  },
  thread_noise: {
    pattern: /^comm=(.*) start=(\d+) duration=(\d+) pid=(\d+)$/s,
    write: ([, comm, start, duration, pid]) => `${comm.padStart(8)}:${pid} ${span(start, duration)}`,
  },
  block_rq_insert: REQUEST,
  block_rq_issue: REQUEST,
  block_rq_merge: REQUEST,
  block_rq_complete: DONE,
  block_rq_requeue: DONE,
};

function span(start: string, duration: string): string {
  const ns = BigInt(start);
  const seconds = `${ns / 1_000_000_000n}.${(ns % 1_000_000_000n).toString().padStart(9, '0')}`;
  return `start ${seconds} duration ${duration} ns`;
}

/** Formats a dev_t as `MAJOR,MINOR`. */
function device(dev: string): string {
  return `${Number(dev) >>> 20},${Number(dev) & 0xfffff}`;
}

/** libtraceevent prints some numbers in hex. */
function signed(number: string, bits: number): string {
  return isNumber(number) ? String(BigInt.asIntN(bits, BigInt(number))) : number;
}

function signless(number: string): string {
  return isNumber(number) ? String(BigInt.asUintN(64, BigInt(number))) : number;
}

function isNumber(text: string): boolean {
  return /^(?:-?\d+|0x[0-9a-fA-F]+)$/.test(text);
}

/** Events for which the kernel does not print the event's name. */
const UNNAMED: Readonly<Record<string, Rewrite>> = {
  function: {
    pattern: /^([\w.$]+)(?: <-- (\S+))?$/,
    // No function has the name 0.
    write: ([, name, parent = '0']) => `${name} <-${parent}`,
  },
  print: {
    pattern: /^(?:0x[0-9a-f]+|tracing_mark_write): (.*)/s,
    write: ([, text]) => `tracing_mark_write: ${text}`,
  },
  timerlat: {
    pattern: /^seq(?:num)?[:=](\d+)\s+context[:=]([012])\s+timer_latency[:=](\d+)/,
    write: ([, number, context, ns]) =>
      `#${number.padEnd(5)} context ${CONTEXTS[Number(context)]} timer_latency ${ns} ns`,
  },
  hwlat: {
    pattern: /^cnt:(\d+)\s+ts:(\d+)\.(\d+)\s+inner:(\d+)\s+outer:(\d+)(?:\s+count:(\d+))?/,
    write: ([, number, seconds, ns, inner, outer, count]) =>
      hwlat({ number, seconds, ns, inner, outer, count }),
  },
  osnoise: {
    pattern:
      /^noise=(\d+) runtime=(\d+) max_sample=(\d+) hw_count=(\d+) nmi_count=(\d+) irq_count=(\d+) softirq_count=(\d+) thread_count=(\d+)/,
    write: ([, noise, runtime, ...counts]) => `${runtime} ${noise} 0.00000 ${counts.join(' ')}`,
  },
};

/** A hwlat record in a report with `-R`. */
const RAW_HWLAT: Rewrite = {
  pattern:
    /^duration=(\d+) outer_duration=(\d+) .*tv_sec=(\d+) tv_nsec=(\d+) .*seqnum=(\d+)(?: count=(\d+))?/,
  write: ([, inner, outer, seconds, ns, number, count]) =>
    hwlat({ number, seconds, ns, inner, outer, count }),
};
const SYSCALL = /^sys_(enter|exit)_(\w+)$/;

interface Hwlat {
  number: string;
  seconds: string;
  ns: string;
  inner: string;
  outer: string;
  count: string | undefined;
}

function hwlat({ number, seconds, ns, inner, outer, count }: Hwlat): string {
  const stamp = `${seconds}.${String(Number(ns) % 1e9).padStart(9, '0')}`;
  const counted = count === undefined ? '' : ` count:${count}`;
  return `#${number.padEnd(5)} inner/outer(us): ${inner.padStart(4)}/${outer.padEnd(5)} ts:${stamp}${counted}`;
}

/** Returns the kernel's text of an event. `text`: the report's text after the name. */
export function reportedText(name: string, text: string): string {
  const unnamed =
    rewritten(UNNAMED, name, text) ??
    rewritten({ hwlat: RAW_HWLAT }, name, text) ??
    syscallText(SYSCALL.exec(name), text);
  return unnamed ?? `${name}: ${rewritten(NAMED, name, text) ?? text}`;
}

/** Converts `sys_enter_read: fd: 0x3` to `sys_read(fd: 0x3)`, and `sys_exit_read: 0x10` to `sys_read -> 0x10`. */
function syscallText(name: RegExpExecArray | null, text: string): string | undefined {
  if (name === null) return undefined;
  if (name[1] === 'enter') return `sys_${name[2]}(${text})`;
  const result = /^(?:.*ret=)?(0x[0-9a-f]+|-?\d+)$/.exec(text)?.[1];
  return result === undefined
    ? undefined
    : `sys_${name[2]} -> 0x${BigInt.asUintN(64, BigInt(result)).toString(16)}`;
}

function rewritten(all: Readonly<Record<string, Rewrite>>, name: string, text: string): string | undefined {
  if (!Object.hasOwn(all, name)) return undefined;
  const { pattern, write } = all[name];
  const match = pattern.exec(text);
  return match === null ? undefined : write(match);
}
