/**
 * What does the block layer do with requests, and how long do they take from queueing to completion? The blk tracer
 * (kernel/trace/blktrace.c) writes its actions only as text, and the text reader makes a record of each line. Counts
 * actions, and measures the times from queueing and from issue to completion.
 *
 * As in `block.ts`, device, sector and operation identify a request. A request is queued (Q) as a bio, under the sector
 * of the bio. A bio that is merged into another (M, F) has no completion, and the parts that the block layer splits off
 * are not queued again. A completion can therefore have an issue and no queueing. Device mappers have no requests, so
 * their completions have no issue. A completion is missing its start only if it has neither.
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
  help: 'Actions of the block layer on requests, as the blk tracer names them.',
  labels: ['device', 'action', 'operation', 'cpu'],
  open: ['device'],
};
const LABELS = ['device', 'operation'];
const QUEUE_TO_COMPLETE = {
  name: 'ftrace_blk_queue_to_complete_seconds',
  help: 'Time from the queueing of an I/O in the block layer to its completion.',
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
/** `N` in the letters of an operation that neither reads nor writes; a flush is `FN`. */
const NEITHER = 0x4e;
/** A request takes two entries. This is more than all queues of ten disks hold. */
const CAPACITY = 32768;
/** Drivers give up after minutes; an older entry was merged or split in a way that the text does not show. */
const TOO_LONG_NS = 600e9;

export interface BlkOptions extends CommonOptions {
  /** Globs of the whole disks whose block tracing is switched on. */
  devices: readonly string[];
}

export const blk: ProbeModule<BlkOptions> = {
  name: 'blk',
  help: 'What the block layer does with requests, and how long they take from queueing.',
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
    // The text reader knows these columns, and the actions as letters.
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
  /** Device of the action being handled. */
  let dev = 0;
  let operation = 0;
  let droppedForLoss = false;

  /** First entry in a state; -1 if none. Drops entries from before a loss. */
  const find = (sector: number, state: typeof QUEUED | typeof ISSUED): number => {
    let match = requests.find(dev, sector, operation, state);
    while (match >= 0 && requests.since(match) < lostUntil) {
      requests.remove(match);
      lost();
      droppedForLoss = true;
      match = requests.find(dev, sector, operation, state);
    }
    return match;
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
      // A bio that only asked for a flush completes once with 0 sectors, a flush twice.
      if (sectors > 0 && !droppedForLoss) noStart();
      return;
    }
    const remaining = (issued >= 0 ? requests.sectors(issued) : requests.sectors(queued)) - sectors;
    if (sectors > 0 && remaining > 0) {
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
    // An action without data is a flush, whatever its letters; the sector differs from line to line.
    const isFlush = sectors === 0 && !isNeither;
    operation = isFlush ? FLUSH : operationOf(record.bytes, rwbs.start(record), rwbs.end(record));
    series.count(row, action, operation, record.cpu);
    // Plugging, or a command for the device itself: its completion does not show which of the two it was.
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
        // The request now begins at this bio, so its next lines carry this sector.
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

/** Declares the families; rows are device, operation and action. */
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
