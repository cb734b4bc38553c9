/** One `field:…` line of an event's `format` file. */
export interface FieldFormat {
  name: string;
  /** The C type as printed, without array brackets: `unsigned long`, `char`, `__data_loc char`. */
  type: string;
  /** Byte offset in the event's payload. */
  offset: number;
  /** Size of the field in the payload, in bytes: 4 for a `__data_loc`, 0 for a flexible array at the end. */
  size: number;
  signed: boolean;
  /** Whether the field is an array: declared with brackets, or a dynamic array (`__data_loc`, `__rel_loc`). */
  array: boolean;
  location: 'inline' | 'data_loc' | 'rel_loc';
}

/** An event's `format` file, parsed. Source: kernel/trace/trace_events.c, f_show(). */
export interface EventFormat {
  system: string;
  name: string;
  /**
   * `common_type` in the records, 16 bits. The kernel can give the number to another event after a module or a dynamic
   * event is removed.
   */
  id: number;
  fields: readonly FieldFormat[];
  /** The text after `print fmt: `, unparsed. */
  printFmt: string;
}

/** Layout of a sub-buffer ("page") from `trace_pipe_raw`, according to `events/header_page`. */
export interface PageLayout {
  /** Size of one sub-buffer in bytes, including the header. */
  pageSize: number;
  /** Byte offset of the page's u64 timestamp. */
  timestampOffset: number;
  /** Byte offset of `commit`. Its low 27 bits contain the length of the data; bits 30 and 31 flag lost events. */
  commitOffset: number;
  /** Size of `commit` in bytes. It is a C `long`: 8 on 64-bit kernels, 4 on 32-bit kernels. */
  commitSize: 4 | 8;
  /** Byte offset of the first event. */
  dataOffset: number;
}
