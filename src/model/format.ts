/** One line `field:…` of an event's `format` file. */
export interface FieldFormat {
  name: string;
  /** The C type as printed, array brackets removed: `unsigned long`, `char`, `__data_loc char`. */
  type: string;
  /** Byte offset in the payload. */
  offset: number;
  /** Bytes the field takes in the payload (4 for a `__data_loc`); 0 for a flexible array at the end. */
  size: number;
  signed: boolean;
  /** Whether the declaration has brackets, or the data is located by the field (`__data_loc`, `__rel_loc`). */
  array: boolean;
  location: 'inline' | 'data_loc' | 'rel_loc';
}

/** An event's `format` file, parsed. Source: kernel/trace/trace_events.c, f_show(). */
export interface EventFormat {
  system: string;
  name: string;
  /** `common_type` of its records; 16 bits. Reused by the kernel when a module or a dynamic event goes. */
  id: number;
  fields: readonly FieldFormat[];
  /** The text behind `print fmt: `, unparsed. */
  printFmt: string;
}

/** Layout of a sub-buffer ("page") as `trace_pipe_raw` gives it, from `events/header_page`. */
export interface PageLayout {
  /** Bytes of one whole sub-buffer, header included. */
  pageSize: number;
  /** Byte offset of the u64 time stamp of the page. */
  timestampOffset: number;
  /** Byte offset of `commit`: the low 27 bits are the length of the data, the top bits tell of lost events. */
  commitOffset: number;
  /** Bytes of `commit`, the kernel's `long`: 8 on 64-bit kernels, 4 on 32-bit ones. */
  commitSize: 4 | 8;
  /** Byte offset of the first event. */
  dataOffset: number;
}
