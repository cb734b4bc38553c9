/**
 * What does the block layer do with requests, and how long do they take from being asked for to completion? Actions of
 * the blk tracer in (kernel/trace/blktrace.c), which the kernel gives as text alone: the text reader makes a record of
 * each line. Actions by device, operation and CPU out; and the time from queueing to completion and from issue to
 * completion.
 *
 * As in `block.ts` a request is known by device, sector and operation. Here one is queued (Q) as a bio, whose sector
 * is still its own: one that is merged into another (M, F) has no completion, and what the block layer splits off is
 * not queued again. So a completion can have an issue and no queueing; and devices without requests (device mapper)
 * have no issues. Only a completion with neither is missing a start.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { globMatcher } from '../config/units/globs.ts';
import type { EventRecord } from '../model/record.ts';
import type { TimestampNs } from '../model/time.ts';
import { declareDurations } from './families.ts';
import {
  ACTION_WORDS,
  actionOf,
  BACKMERGED,
  COMPLETED,
  FRONTMERGED,
  ISSUED_ACTION,
  QUEUED_ACTION,
  REQUEUED,
} from './names/blk-actions.ts';
import { deviceNames, SeenDevices } from './names/block-devices.ts';
import { FLUSH, OPERATIONS, operationOf } from './names/block-operation.ts';
import type { CommonOptions, Probe, ProbeContext, ProbeModule } from './probe.ts';
import { ISSUED, QUEUED, RequestTable } from './tables/request-table.ts';
import { SlotCache } from './tables/slot-cache.ts';

const ACTION = 'ftrace:blk';

const COUNT = {
  name: 'ftrace_blk_actions_total',
  help: 'Actions of the block layer on requests.',
  labels: ['device', 'action', 'operation', 'cpu'],
  open: ['device'],
};
const LABELS = ['device', 'operation'];
const QUEUE_TO_COMPLETE = {
  name: 'ftrace_blk_queue_to_complete_seconds',
  help: 'Time from when I/O was asked of the block layer to its completion.',
  labels: LABELS,
  open: ['device'],
};
const ISSUE_TO_COMPLETE = {
  name: 'ftrace_blk_issue_to_complete_seconds',
  help: 'Time from the issue of a request to its driver to its completion.',
  labels: LABELS,
  open: ['device'],
};

const SECTOR_BYTES = 512;
/** `N`, for no read or write, in the letters of the operation; a flush is `FN`. */
const NEITHER = 0x4e;
/** Entries, of which a request has two: more than all queues of ten disks hold. */
const CAPACITY = 32768;
/** Drivers give up after minutes; what is older was merged or split in a way that the text does not tell. */
const TOO_LONG_NS = 600e9;

export interface BlkOptions extends CommonOptions {
  /** Globs of the whole disks whose block tracing is switched on. */
  devices: readonly string[];
}

export const blk: ProbeModule<BlkOptions> = {
  name: 'blk',
  help: 'What the block layer does with requests, and how long they take from being queued.',
  byDefault: false,
  rate: 'low',
  schema: ({ globs, probeSchema }) =>
    probeSchema(
      { enabled: false, per_cpu: false, max_series: 500, buckets: decimalBuckets(1e-5, 10) },
      { devices: globs('name').prefault(['*']) },
    ),
  tracer: (options) => ({
    tracer: 'blk',
    where: 'top',
    reads: 'text',
    // Letters, and the columns as the reader knows them.
    options: { blk_classic: '0', verbose: '0' },
    knobs: [],
    blockDevices: options.devices,
  }),
  needs: () => [{ event: ACTION, fields: ['dev', 'action', 'rwbs', 'sector', 'nr_bytes'] }],
  names: ({ devices }, _kernel, host) => deviceNames(devices, host),
  create: createBlk,
  metrics: [COUNT, QUEUE_TO_COMPLETE, ISSUE_TO_COMPLETE],
};

function createBlk(context: ProbeContext, options: BlkOptions): Probe {
  const series = declareSeries(context, options);
  const { devices } = series;
  const requests = new RequestTable(CAPACITY);
  const noStart = context.unmatched('no_start');
  const lost = context.unmatched('lost');
  const late = context.unmatched('late');
  const evicted = context.unmatched('evicted');
  let lostUntil: TimestampNs = 0;
  let latest: TimestampNs = 0;
  /** Of the action being handled; set for each. */
  let dev = 0;
  let operation = 0;
  let droppedForLoss = false;

  /** First entry in a state; -1 when there is none. Those from before a loss are dropped. */
  const find = (sector: number, state: typeof QUEUED | typeof ISSUED): number => {
    let found = requests.find(dev, sector, operation, state);
    while (found >= 0 && requests.since(found) < lostUntil) {
      requests.remove(found);
      lost();
      droppedForLoss = true;
      found = requests.find(dev, sector, operation, state);
    }
    return found;
  };
  const add = (
    sector: number,
    sectors: number,
    state: typeof QUEUED | typeof ISSUED,
    now: TimestampNs,
  ): void => {
    if (requests.full) {
      requests.remove(requests.oldest);
      evicted();
    }
    requests.setSectors(requests.add(dev, sector, operation, state, now), sectors);
  };
  const drop = (sector: number, state: typeof QUEUED | typeof ISSUED): void => {
    const entry = find(sector, state);
    if (entry >= 0) requests.remove(entry);
  };

  const complete = (row: number, sector: number, sectors: number, record: EventRecord): void => {
    droppedForLoss = false;
    const queued = find(sector, QUEUED);
    const issued = find(sector, ISSUED);
    if (queued < 0 && issued < 0) {
      // What only asked for a flush before it completes with nothing done, and a flush twice.
      if (sectors > 0 && !droppedForLoss) noStart();
      return;
    }
    const left = (issued >= 0 ? requests.sectors(issued) : requests.sectors(queued)) - sectors;
    if (sectors > 0 && left > 0) {
      for (const entry of [queued, issued]) {
        if (entry < 0) continue;
        requests.setSectors(entry, requests.sectors(entry) - sectors);
        requests.move(entry, sector + sectors);
      }
      return;
    }
    if (queued >= 0) {
      const ns = record.timestampNs - requests.since(queued);
      requests.remove(queued);
      if (ns < 0) late();
      else series.fromQueue.record(series.key(row, operation), record.cpu, ns);
    }
    if (issued >= 0) {
      const ns = record.timestampNs - requests.since(issued);
      requests.remove(issued);
      if (ns < 0) late();
      else series.fromIssue.record(series.key(row, operation), record.cpu, ns);
    }
  };

  const devOf = context.int(ACTION, 'dev');
  const sectorOf = context.int(ACTION, 'sector');
  const bytesOf = context.int(ACTION, 'nr_bytes');
  const letters = context.bytes(ACTION, 'action');
  const rwbs = context.bytes(ACTION, 'rwbs');
  const onAction = (record: EventRecord): void => {
    const now = record.timestampNs;
    if (now > latest) latest = now;
    dev = devOf(record) | 0;
    const row = devices.row(dev);
    if (row < 0) return;
    const action = actionOf(record.bytes, letters.start(record), letters.end(record));
    const sectors = bytesOf(record) / SECTOR_BYTES;
    const isNeither = record.bytes[rwbs.start(record)] === NEITHER;
    // Without data it is a flush, whatever the letters of what asked for it; its sectors differ from line to line.
    const isFlush = sectors === 0 && !isNeither;
    operation = isFlush ? FLUSH : operationOf(record.bytes, rwbs.start(record), rwbs.end(record));
    series.count(row, action, operation, record.cpu);
    // Plugging, or a command for the device itself, whose completion does not tell which it was.
    if (isNeither) return;
    const sector = isFlush ? 0 : sectorOf(record);
    switch (action) {
      case QUEUED_ACTION:
        add(sector, sectors, QUEUED, now);
        break;
      case BACKMERGED:
        drop(sector, QUEUED);
        break;
      case FRONTMERGED:
        // It is now the front of a request that began behind it, which goes by this sector from here on.
        drop(sector + sectors, QUEUED);
        break;
      case ISSUED_ACTION:
        add(sector, sectors, ISSUED, now);
        break;
      case REQUEUED:
        drop(sector, ISSUED);
        break;
      case COMPLETED:
        complete(row, sector, sectors, record);
        break;
    }
  };

  return {
    handlers: { [ACTION]: onAction },
    onLoss: (_cpu, untilNs) => {
      if (untilNs > lostUntil) lostUntil = untilNs;
    },
    sweep: () => {
      for (let entry = requests.oldest; entry >= 0; ) {
        const next = requests.newerThan(entry);
        if (latest - requests.since(entry) > TOO_LONG_NS) {
          requests.remove(entry);
          evicted();
        }
        entry = next;
      }
      devices.sweep();
    },
  };
}

/** The families, by row of the device, operation and action. */
function declareSeries(context: ProbeContext, options: BlkOptions) {
  const key = (row: number, operation: number) => row * OPERATIONS.length + operation;
  const labels = (at: number) => [
    devices.nameOf(Math.floor(at / OPERATIONS.length)),
    OPERATIONS[at % OPERATIONS.length],
  ];
  const counts = context.metrics.counter({ ...COUNT, maxSeries: options.max_series });
  const fromQueue = declareDurations(context, QUEUE_TO_COMPLETE, options, labels);
  const fromIssue = declareDurations(context, ISSUE_TO_COMPLETE, options, labels);
  const countKey = (row: number, action: number, operation: number) =>
    key(row, operation) * ACTION_WORDS.length + action;
  const countSlots = new SlotCache(context.cpuCount, (at, cpu) => {
    const [device, operation] = labels(Math.floor(at / ACTION_WORDS.length));
    return counts.slot([device, ACTION_WORDS[at % ACTION_WORDS.length], operation, String(cpu)]);
  });
  const devices = new SeenDevices(
    context.host,
    globMatcher(options.devices),
    () => {},
    (row, name) => {
      for (let operation = 0; operation < OPERATIONS.length; operation++) {
        fromQueue.forget(key(row, operation));
        fromIssue.forget(key(row, operation));
        for (let action = 0; action < ACTION_WORDS.length; action++) {
          countSlots.forget(countKey(row, action, operation));
        }
      }
      if (name === '') return;
      for (const family of [counts, fromQueue.family, fromIssue.family]) family.release('device', name);
    },
  );
  return {
    devices,
    key,
    fromQueue,
    fromIssue,
    count: (row: number, action: number, operation: number, cpu: number) =>
      counts.add(countSlots.at(countKey(row, action, operation), cpu), 1),
  };
}
