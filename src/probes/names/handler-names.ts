/**
 * Assigns a row (a small number) to each name of an interrupt handler. Replaces the queue number in a name with `*`, so
 * that a disk with 64 queues counts as one handler.
 */
import type { EventRecord } from '../../model/record.ts';

/** Number of lists of known names. The lowest bits of the interrupt number select the list. */
const BUCKETS = 1024;
/** All further names become `other`, even if `max_series` is larger. */
const MOST_NAMES = 4096;
/** A full list is emptied, because most of its names are of devices that no longer exist. */
const LONGEST_LIST = 64;

interface KnownName {
  bytes: Uint8Array;
  row: number;
}

export class HandlerNames {
  /** Name by row, with `*`. */
  readonly names: string[] = [];
  readonly #rows = new Map<string, number>();
  readonly #lists: KnownName[][] = Array.from({ length: BUCKETS }, () => []);

  /** Returns the row of a name. The caller has already replaced the number of a queue in it by `*`. */
  row(name: string): number {
    const existing = this.#rows.get(name);
    if (existing !== undefined) return existing;
    if (this.names.length >= MOST_NAMES && name !== 'other') return this.row('other');
    const row = this.names.length;
    this.names.push(name);
    this.#rows.set(name, row);
    return row;
  }

  /** Returns the row of the name in bytes `start` to `end` (exclusive). `irq`: the interrupt number. */
  find(irq: number, record: EventRecord, start: number, end: number): number {
    const list = this.#lists[irq & (BUCKETS - 1)];
    for (let i = 0; i < list.length; i++) {
      if (equal(list[i].bytes, record.bytes, start, end)) return list[i].row;
    }
    return this.#learn(list, record.bytes.slice(start, end));
  }

  #learn(list: KnownName[], bytes: Uint8Array): number {
    const row = this.row(foldQueueNumber(Buffer.from(bytes).toString('utf8')));
    if (list.length >= LONGEST_LIST) list.length = 0;
    list.push({ bytes, row });
    return row;
  }
}

function equal(name: Uint8Array, page: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== page[start + i]) return false;
  return true;
}

/** Queue of a numbered device: `nvme0q17`. */
const NUMBERED_QUEUE = /^(.*\dq)\d+$/;
/** Number after a numbered device and a dash: `eth0-TxRx-3`, `virtio1-input.0`, `megasas0-msix12`, `eth0-3`. */
const PART_OF_DEVICE = /^(.*\d-(?:.*\D)?)\d+$/;
/** Number after a word for a queue: `mlx5_comp3`, `lan-rx-3`, `iwlwifi:queue_2`, `gve-ntfy-blk7`. */
const QUEUE_WORD = /^(.*[-_:.](?:txrx|tx|rx|comp|queue|blk|msix|cq|eq|ring)[-_.]?)\d+$/i;

/**
 * Replaces the queue number at the end of a name, or before a suffix `@pci:…`, with `*`. Keeps the numbers of devices,
 * as in `virtio0`, `i801_smbus` and `ahci[0000:00:1f.2]`.
 */
export function foldQueueNumber(name: string): string {
  const at = name.indexOf('@');
  const head = at < 0 ? name : name.slice(0, at);
  const folded = NUMBERED_QUEUE.exec(head) ?? PART_OF_DEVICE.exec(head) ?? QUEUE_WORD.exec(head);
  return folded === null ? name : `${folded[1]}*${name.slice(head.length)}`;
}
