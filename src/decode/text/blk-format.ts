/**
 * Defines an event format for records of the tracer `blk`, for which the kernel has no format. `blk-line.ts` fills in
 * the records. Source of the values: kernel/trace/blktrace.c.
 */

export const BLOCK_EVENT = 'ftrace:blk';
/** The kernel numbers events from 1 and never reaches this ID. */
export const BLOCK_EVENT_ID = 65534;

/** `action` contains the action's letters (`Q`, `D`, `C`, `UT`), followed by NUL. */
export const BLOCK_FORMAT_TEXT = `name: blk
ID: ${BLOCK_EVENT_ID}
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:dev_t dev;	offset:8;	size:4;	signed:0;
	field:int error;	offset:12;	size:4;	signed:1;
	field:sector_t sector;	offset:16;	size:8;	signed:0;
	field:u64 nr_bytes;	offset:24;	size:8;	signed:0;
	field:char action[16];	offset:32;	size:16;	signed:0;
	field:char rwbs[16];	offset:48;	size:16;	signed:0;

print fmt: "%d,%d %s %s %llu + %llu [%d]", ((unsigned int) ((REC->dev) >> 20)), ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), REC->action, REC->rwbs, REC->sector, REC->nr_bytes, REC->error
`;

/** Field offsets and sizes in bytes, from the start of the record. */
export const BLOCK_FIELDS = {
  dev: { offset: 8, size: 4 },
  error: { offset: 12, size: 4 },
  sector: { offset: 16, size: 8 },
  nr_bytes: { offset: 24, size: 8 },
  action: { offset: 32, size: 16 },
  rwbs: { offset: 48, size: 16 },
} as const;
