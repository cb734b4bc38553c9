/** Constants of the file format trace.dat. Source: trace-cmd's trace-cmd.dat.v6(5) and trace-cmd.dat.v7(5). */

/** First bytes of a file: 0x17 0x08 0x44 "tracing". The version follows as a string. */
export const MAGIC = '\x17\x08Dtracing';
/** The version that we write. */
export const VERSION = '6';

/** In version 6, each section after the CPU count begins with a name of 10 bytes. */
export const SECTION_BYTES = 10;
export const OPTIONS = 'options  \0';
export const LATENCY = 'latency  \0';
export const FLYRECORD = 'flyrecord\0';

/** IDs of the options that the reader or the writer uses. Readers ignore options that they don't know. */
export const OPTION_DONE = 0;
export const OPTION_DATE = 1;
export const OPTION_CPUSTAT = 2;
export const OPTION_BUFFER = 3;
export const OPTION_TRACECLOCK = 4;
export const OPTION_UNAME = 5;
export const OPTION_OFFSET = 7;
export const OPTION_CPUCOUNT = 8;
export const OPTION_TIME_SHIFT = 12;
export const OPTION_TSC2NSEC = 14;
export const OPTION_BUFFER_TEXT = 22;

/** IDs of sections in version 7. The option with the same ID contains the offset of the section. */
export const SECTION_OPTIONS = 0;
export const SECTION_BUFFER = 3;
export const SECTION_HEADER_INFO = 16;
export const SECTION_FTRACE_FORMATS = 17;
export const SECTION_EVENT_FORMATS = 18;
export const SECTION_KALLSYMS = 19;
export const SECTION_IS_COMPRESSED = 1;

/** Text of `events/header_event` on every kernel: kernel/trace/ring_buffer.c, ring_buffer_print_entry_header(). */
export const HEADER_EVENT = `# compressed entry header
\ttype_len    :    5 bits
\ttime_delta  :   27 bits
\tarray       :   32 bits

\tpadding     : type == 29
\ttime_extend : type == 30
\ttime_stamp : type == 31
\tdata max type_len  == 28
`;
