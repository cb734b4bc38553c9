/**
 * Provides event formats for text without format files, such as a saved `trace`: only the fields that probes read, in
 * our own layout. If an event's text differs between kernels, its format has several `print fmt:` lines. Source:
 * include/trace/events/*.h and kernel/trace/trace_entries.h, 5.10 to 7.3.
 */
import { BLOCK_EVENT, BLOCK_FORMAT_TEXT } from './blk-format.ts';

interface KnownFormat {
  /** C declarations; see `sizeOf` for the supported ones. */
  fields: readonly string[];
  /** Absent if `line-types.ts` knows the text of the event. */
  printFmts?: readonly string[];
}

const TASK = ['char comm[16]', 'int pid', 'int prio'];
const WOKEN = 'REC->comm, REC->pid, REC->prio, REC->target_cpu';
/** The last three forms are those of `trace-cmd report`. */
const WAKEUP: KnownFormat = {
  fields: [...TASK, 'int target_cpu'],
  printFmts: [
    `"comm=%s pid=%d prio=%d target_cpu=%03d", ${WOKEN}`,
    `"comm=%s pid=%d prio=%d success=1 target_cpu=%03d", ${WOKEN}`,
    `"%s:%d [%d] CPU:%03d", ${WOKEN}`,
    `"%s:%d [%d] success=1 CPU:%03d", ${WOKEN}`,
    `"%s:%d [%d]<CANT FIND FIELD success> CPU:%03d", ${WOKEN}`,
  ],
};
/** Letters of task states in all kernels. Probes do not distinguish x, K, W and N of kernels before 4.14. */
const STATES =
  '{ 1, "S" }, { 2, "D" }, { 4, "T" }, { 8, "t" }, { 16, "X" }, { 32, "Z" }, { 64, "P" }, { 128, "I" }, { 16, "x" }, { 64, "K" }, { 64, "W" }, { 64, "N" }';
const STATE = `(REC->prev_state & 0xff) ? __print_flags(REC->prev_state & 0xff, "|", ${STATES}) : "R"`;
const PREV = 'REC->prev_comm, REC->prev_pid, REC->prev_prio';
const NEXT = 'REC->next_comm, REC->next_pid, REC->next_prio';
const VECTORS =
  '{ 0, "HI" }, { 1, "TIMER" }, { 2, "NET_TX" }, { 3, "NET_RX" }, { 4, "BLOCK" }, { 5, "IRQ_POLL" }, { 6, "TASKLET" }, { 7, "SCHED" }, { 8, "HRTIMER" }, { 9, "RCU" }';
const SOFTIRQ: KnownFormat = {
  fields: ['unsigned int vec'],
  printFmts: [`"vec=%u [action=%s]", REC->vec, __print_symbolic(REC->vec, ${VECTORS})`],
};
const DEV = 'REC->dev >> 20, REC->dev & ((1U << 20) - 1), REC->rwbs';
const RANGE = 'REC->sector, REC->nr_sector';
const REQUEST_FIELDS = ['dev_t dev', 'sector_t sector', 'unsigned int nr_sector', 'char rwbs[16]'];
/** Since 6.9, the kernel also prints the I/O priority (second form). */
const REQUEST: KnownFormat = {
  fields: [...REQUEST_FIELDS, 'unsigned int bytes', '__data_loc char[] cmd', 'char comm[16]'],
  printFmts: [
    `"%d,%d %s %u (%s) %llu + %u [%s]", ${DEV}, REC->bytes, __get_str(cmd), ${RANGE}, REC->comm`,
    `"%d,%d %s %u (%s) %llu + %u %pU,%u,%u [%s]", ${DEV}, REC->bytes, __get_str(cmd), ${RANGE}, 0, 0, 0, REC->comm`,
  ],
};
const DONE: KnownFormat = {
  fields: [...REQUEST_FIELDS, 'int error', '__data_loc char[] cmd'],
  printFmts: [
    `"%d,%d %s (%s) %llu + %u [%d]", ${DEV}, __get_str(cmd), ${RANGE}, REC->error`,
    `"%d,%d %s (%s) %llu + %u %pU,%u,%u [%d]", ${DEV}, __get_str(cmd), ${RANGE}, 0, 0, 0, REC->error`,
  ],
};
const SPAN_FIELDS = ['u64 start', 'u64 duration'];
const SPAN = 'REC->start / 1000000000UL, REC->start % 1000000000UL, REC->duration';

const KNOWN: Readonly<Record<string, KnownFormat>> = {
  'sched:sched_switch': {
    fields: [
      'char prev_comm[16]',
      'int prev_pid',
      'int prev_prio',
      'int prev_state',
      'char next_comm[16]',
      'int next_pid',
      'int next_prio',
    ],
    // The last two forms are those of `trace-cmd report`, with and without its plugins.
    printFmts: [
      `"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s%s ==> next_comm=%s next_pid=%d next_prio=%d", ${PREV}, ${STATE}, REC->prev_state & 0x100 ? "+" : "", ${NEXT}`,
      `"%s:%d [%d] %s ==> %s:%d [%d]", ${PREV}, ${STATE}, ${NEXT}`,
      `"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%d next_comm=%s next_pid=%d next_prio=%d", ${PREV}, REC->prev_state, ${NEXT}`,
    ],
  },
  'sched:sched_wakeup': WAKEUP,
  'sched:sched_wakeup_new': WAKEUP,
  'sched:sched_waking': WAKEUP,
  'sched:sched_migrate_task': {
    fields: [...TASK, 'int orig_cpu', 'int dest_cpu'],
    printFmts: [
      '"comm=%s pid=%d prio=%d orig_cpu=%d dest_cpu=%d", REC->comm, REC->pid, REC->prio, REC->orig_cpu, REC->dest_cpu',
    ],
  },
  'sched:sched_process_exit': {
    fields: TASK,
    printFmts: [
      '"comm=%s pid=%d prio=%d", REC->comm, REC->pid, REC->prio',
      '"comm=%s pid=%d prio=%d group_dead=%pU", REC->comm, REC->pid, REC->prio, 0',
    ],
  },
  'sched:sched_process_exec': {
    fields: ['__data_loc char[] filename', 'int pid', 'int old_pid'],
    printFmts: ['"filename=%s pid=%d old_pid=%d", __get_str(filename), REC->pid, REC->old_pid'],
  },
  'raw_syscalls:sys_enter': {
    fields: ['long id'],
    printFmts: ['"NR %ld (%lx, %lx, %lx, %lx, %lx, %lx)", REC->id, 0, 0, 0, 0, 0, 0'],
  },
  'raw_syscalls:sys_exit': {
    fields: ['long id', 'long ret'],
    printFmts: ['"NR %ld = %ld", REC->id, REC->ret'],
  },
  'irq:irq_handler_entry': {
    fields: ['int irq', '__data_loc char[] name'],
    printFmts: ['"irq=%d name=%s", REC->irq, __get_str(name)'],
  },
  'irq:irq_handler_exit': {
    fields: ['int irq', 'int ret'],
    printFmts: ['"irq=%d ret=%s", REC->irq, REC->ret ? "handled" : "unhandled"'],
  },
  'irq:softirq_entry': SOFTIRQ,
  'irq:softirq_exit': SOFTIRQ,
  'irq:softirq_raise': SOFTIRQ,
  'block:block_rq_insert': REQUEST,
  'block:block_rq_issue': REQUEST,
  'block:block_rq_merge': REQUEST,
  'block:block_rq_complete': DONE,
  'block:block_rq_requeue': DONE,
  'osnoise:irq_noise': {
    fields: [...SPAN_FIELDS, '__data_loc char[] desc', 'int vector'],
    printFmts: [`"%s:%d start %llu.%09u duration %llu ns", __get_str(desc), REC->vector, ${SPAN}`],
  },
  'osnoise:softirq_noise': {
    fields: [...SPAN_FIELDS, 'int vector'],
    printFmts: [`"%8pU:%d start %llu.%09u duration %llu ns", 0, REC->vector, ${SPAN}`],
  },
  'osnoise:thread_noise': {
    fields: [...SPAN_FIELDS, 'char comm[16]', 'int pid'],
    printFmts: [`"%8s:%d start %llu.%09u duration %llu ns", REC->comm, REC->pid, ${SPAN}`],
  },
  'osnoise:nmi_noise': { fields: SPAN_FIELDS, printFmts: [`"start %llu.%09u duration %llu ns", ${SPAN}`] },
  'osnoise:sample_threshold': {
    fields: [...SPAN_FIELDS, 'u64 interference'],
    printFmts: [`"start %llu.%09u duration %llu ns interference %llu", ${SPAN}, REC->interference`],
  },
  'ftrace:function': { fields: ['unsigned long ip', 'unsigned long parent_ip'] },
  'ftrace:funcgraph_entry': { fields: ['unsigned long func', 'int depth'] },
  'ftrace:funcgraph_exit': {
    fields: [
      'unsigned long func',
      'int depth',
      'unsigned int overrun',
      'unsigned long long calltime',
      'unsigned long long rettime',
    ],
  },
  'ftrace:timerlat': { fields: ['unsigned int seqnum', 'int context', 'u64 timer_latency'] },
  'ftrace:osnoise': {
    fields: [
      'u64 noise',
      'u64 runtime',
      'u64 max_sample',
      'unsigned int hw_count',
      'unsigned int nmi_count',
      'unsigned int irq_count',
      'unsigned int softirq_count',
      'unsigned int thread_count',
    ],
  },
  'ftrace:hwlat': {
    fields: [
      'u64 duration',
      'u64 outer_duration',
      'u64 nmi_total_ts',
      's64 tv_sec',
      'long tv_nsec',
      'unsigned int nmi_count',
      'unsigned int seqnum',
      'unsigned int count',
    ],
  },
  'ftrace:print': { fields: ['unsigned long ip', 'char buf[]'] },
};

/** Formats of groups of events, by the beginning of their names. */
const FAMILIES: Readonly<Record<string, KnownFormat>> = {
  'syscalls:sys_enter_': { fields: [] },
  'syscalls:sys_exit_': { fields: ['long ret'] },
  'irq_vectors:': { fields: ['int vector'], printFmts: ['"vector=%d", REC->vector'] },
};

const names = Object.keys(KNOWN);
/** First ID of events in `FAMILIES`, which get IDs when their formats are requested. */
const FIRST_OF_FAMILIES = names.length + 1;

/** All known events except those of `FAMILIES`. */
export const KNOWN_EVENTS: readonly string[] = [...names, BLOCK_EVENT];

/** The function returns the text of an event's format file, or undefined if the event is unknown. */
export function makeKnownFormats(): (event: string) => string | undefined {
  const familyEvents: string[] = [];
  return (event) => {
    if (event === BLOCK_EVENT) return BLOCK_FORMAT_TEXT;
    const at = names.indexOf(event);
    if (at >= 0) return formatText(event, 1 + at, KNOWN[event]);
    const family = Object.keys(FAMILIES).find(
      (start) => event.startsWith(start) && event.length > start.length,
    );
    if (family === undefined) return undefined;
    if (!familyEvents.includes(event)) familyEvents.push(event);
    return formatText(event, FIRST_OF_FAMILIES + familyEvents.indexOf(event), FAMILIES[family]);
  };
}

/** First ID of events whose format is unknown. */
const FIRST_BARE = 60_000;

/**
 * Returns a format with only the common fields, to count an event of unknown format. Each event needs its own `number`.
 */
export function bareFormatText(event: string, number: number): string {
  return formatText(event, FIRST_BARE + number, { fields: [] });
}

const COMMON = [
  'unsigned short common_type',
  'unsigned char common_flags',
  'unsigned char common_preempt_count',
  'int common_pid',
];

function formatText(event: string, id: number, { fields, printFmts = [''] }: KnownFormat): string {
  let offset = 0;
  const lines = [...COMMON, ...fields].map((declaration) => {
    const { size, align, signed } = sizeOf(declaration);
    offset = Math.ceil(offset / align) * align;
    const line = `\tfield:${declaration};\toffset:${offset};\tsize:${size};\tsigned:${signed};\n`;
    offset += size;
    return line;
  });
  const printed = printFmts.map((printFmt) => `print fmt: ${printFmt}\n`).join('');
  return `name: ${event.slice(event.indexOf(':') + 1)}\nID: ${id}\nformat:\n${lines.join('')}\n${printed}`;
}

function sizeOf(declaration: string): { size: number; align: number; signed: 0 | 1 } {
  const signed = /unsigned|^u64|^dev_t|^sector_t|char/.test(declaration) ? 0 : 1;
  if (/\[16\]/.test(declaration)) return { size: 16, align: 1, signed };
  if (/^char \w+\[\]/.test(declaration)) return { size: 0, align: 1, signed };
  if (/^unsigned char/.test(declaration)) return { size: 1, align: 1, signed };
  if (/^unsigned short/.test(declaration)) return { size: 2, align: 2, signed };
  const is64 = /^(?:u64|s64|sector_t|unsigned long|long)\b/.test(declaration);
  return { size: is64 ? 8 : 4, align: is64 ? 8 : 4, signed };
}
