/** Words of the file format trace.dat, version 6. Source: trace-cmd's trace-cmd.dat.v6(5). */

/** 0x17 0x08 0x44 "tracing"; behind it the version as a string. */
export const MAGIC = '\x17\x08Dtracing';
export const VERSION = '6';

/** Sections behind the CPU count: 10 bytes each. */
export const SECTION_BYTES = 10;
export const OPTIONS = 'options  \0';
export const LATENCY = 'latency  \0';
export const FLYRECORD = 'flyrecord\0';

/** Options that we write and read; readers pass over those they do not know. */
export const OPTION_DONE = 0;
export const OPTION_CPUSTAT = 2;
export const OPTION_BUFFER = 3;
export const OPTION_TRACECLOCK = 4;
export const OPTION_UNAME = 5;

/** What `events/header_event` says on every kernel: kernel/trace/ring_buffer.c, ring_buffer_print_entry_header(). */
export const HEADER_EVENT = `# compressed entry header
\ttype_len    :    5 bits
\ttime_delta  :   27 bits
\tarray       :   32 bits

\tpadding     : type == 29
\ttime_extend : type == 30
\ttime_stamp : type == 31
\tdata max type_len  == 28
`;
