/** One `field:…` line of an event's `format` file. */
export interface FieldFormat {
  name: string;
  /** The C type without array brackets: `unsigned long`, `char`, `__data_loc char`. */
  type: string;
  /** Byte offset in the event's payload. */
  offset: number;
  /** Size in the payload, in bytes: 4 for a `__data_loc`, 0 for a flexible array at the end. */
  size: number;
  signed: boolean;
  /** Whether the field is declared with brackets or is a dynamic array (`__data_loc`, `__rel_loc`). */
  array: boolean;
  location: 'inline' | 'data_loc' | 'rel_loc';
}

/** A parsed `format` file. Source: kernel/trace/trace_events.c, f_show(). */
export interface EventFormat {
  system: string;
  name: string;
  /** `common_type` in the records, 16 bits. After an event is removed, the kernel can reuse its number. */
  id: number;
  fields: readonly FieldFormat[];
  /** The text after `print fmt: `, unparsed. */
  printFmt: string;
}

/** Layout of a sub-buffer ("page"), according to `events/header_page`. */
export interface PageLayout {
  /** Size of a sub-buffer in bytes, including the header. */
  pageSize: number;
  /** Byte offset of the page's u64 timestamp. */
  timestampOffset: number;
  /** Byte offset of `commit`. Its low 27 bits contain the length of the data; bits 30 and 31 flag lost events. */
  commitOffset: number;
  /** Size of `commit`, a C `long`: 8 on 64-bit kernels, 4 on 32-bit kernels. */
  commitSize: 4 | 8;
  /** Byte offset of the first event. */
  dataOffset: number;
}
