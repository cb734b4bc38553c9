/**
 * How long do disk requests take? The blk tracer (kernel/trace/blktrace.c) writes actions as text, of which the agent's
 * text reader makes records.
 *
 * Device, sector and operation identify a request. Many requests normally have no queueing (Q), no issue (D) or no
 * completion (C). A completion counts as unmatched only if it has neither a queueing nor an issue.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { globMatcher } from '../config/units/globs.ts';
import type { EventRecord } from '../model/record.ts';
import type { TimestampNs } from '../model/time.ts';
import { type Durations, declareDurations } from './families.ts';
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
import { ISSUED, QUEUED, type RequestState } from './tables/request-table.ts';
import { type RequestsInFlight, requestsInFlight } from './tables/requests-in-flight.ts';
import { SlotCache } from './tables/slot-cache.ts';

const ACTION = 'ftrace:blk';

const COUNT = {
  name: 'ftrace_blk_actions_total',
  help: 'Actions of the block layer on disk requests, by action (names as in blkparse(1)).',
  labels: ['device', 'action', 'operation', 'cpu'],
  open: ['device'],
};
const LABELS = ['device', 'operation'];
const QUEUE_TO_COMPLETE = {
  name: 'ftrace_blk_queue_to_complete_seconds',
  help: 'Time from when a disk request reached the block layer (Q in blktrace) until it completed (C).',
  labels: LABELS,
  open: ['device'],
};
const ISSUE_TO_COMPLETE = {
  name: 'ftrace_blk_issue_to_complete_seconds',
  help: 'Time from when the block layer issued a disk request to the driver (D in blktrace) until the request completed (C).',
  labels: LABELS,
  open: ['device'],
};

const SECTOR_BYTES = 512;
/** `N`, the first letter of `rwbs` for plugging and for commands to the device itself. A flush has `FN`. */
const NEITHER = 0x4e;
/** Enough for all queues of ten disks. Each request has one entry for its queueing and one for its issue. */
const CAPACITY = 32768;
/** No completion follows later than this, because drivers time out earlier. */
const TOO_LONG_NS = 600e9;

export interface BlkOptions extends CommonOptions {
  /** Globs of the disks (not partitions) to trace. */
  devices: readonly string[];
}

export const blk: ProbeModule<BlkOptions> = {
  name: 'blk',
  help: 'Actions of the block layer on disk requests, and how long requests take in the queue and at the device.',
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
    // With these options, the kernel writes the format that the text reader expects.
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
  const unmatched = {
    noStart: context.unmatched('no_start'),
    lost: context.unmatched('lost'),
    late: context.unmatched('late'),
    evicted: context.unmatched('evicted'),
  };
  const requests = requestsInFlight(CAPACITY, unmatched.lost, unmatched.evicted);
  const { table } = requests;
  const add = (
    dev: number,
    sector: number,
    operation: number,
    state: RequestState,
    now: TimestampNs,
    sectors: number,
  ): void => table.setSectors(requests.add(dev, sector, operation, state, now), sectors);
  const drop = (dev: number, sector: number, operation: number, state: RequestState): void => {
    const entry = requests.find(dev, sector, operation, state);
    if (entry >= 0) table.remove(entry);
  };
  const complete = makeComplete(series, requests, unmatched);
  let latest: TimestampNs = 0;

  const devOf = context.int(ACTION, 'dev');
  const sectorOf = context.int(ACTION, 'sector');
  const bytesOf = context.int(ACTION, 'nr_bytes');
  const letters = context.bytes(ACTION, 'action');
  const rwbs = context.bytes(ACTION, 'rwbs');
  const onAction = (record: EventRecord): void => {
    const now = record.timestampNs;
    if (now > latest) latest = now;
    const dev = devOf(record) | 0;
    const row = devices.row(dev);
    if (row < 0) return;
    const action = actionOf(record.bytes, letters.start(record), letters.end(record));
    const sectors = bytesOf(record) / SECTOR_BYTES;
    const isNeither = record.bytes[rwbs.start(record)] === NEITHER;
    // The actions of one flush have different sectors, so use sector 0 for all of them.
    const isFlush = sectors === 0 && !isNeither;
    const operation = isFlush ? FLUSH : operationOf(record.bytes, rwbs.start(record), rwbs.end(record));
    series.count(row, action, operation, record.cpu);
    if (isNeither) return;
    const sector = isFlush ? 0 : sectorOf(record);
    switch (action) {
      case QUEUED_ACTION:
        add(dev, sector, operation, QUEUED, now, sectors);
        break;
      case BACKMERGED:
        drop(dev, sector, operation, QUEUED);
        break;
      case FRONTMERGED:
        // The request now begins at the bio's sector. Keep the bio's entry and drop the request's old entry.
        drop(dev, sector + sectors, operation, QUEUED);
        break;
      case ISSUED_ACTION:
        add(dev, sector, operation, ISSUED, now, sectors);
        break;
      case REQUEUED:
        drop(dev, sector, operation, ISSUED);
        break;
      case COMPLETED:
        complete(dev, row, sector, operation, sectors, record);
        break;
    }
  };

  return {
    handlers: { [ACTION]: onAction },
    onLoss: (_cpu, untilNs) => requests.voidUntil(untilNs),
    sweep: () => {
      requests.evictIf((entry) => table.since(entry) < latest - TOO_LONG_NS);
      devices.sweep();
    },
  };
}

type Unmatched = Record<'noStart' | 'lost' | 'late' | 'evicted', () => void>;

/** If only a part of a request completes, its entries stay in the table with the remaining sectors. */
function makeComplete(
  series: ReturnType<typeof declareSeries>,
  requests: RequestsInFlight,
  { noStart, late }: Unmatched,
) {
  const { table, find } = requests;
  const measure = (durations: Durations, key: number, entry: number, record: EventRecord): void => {
    const ns = record.timestampNs - table.since(entry);
    table.remove(entry);
    if (ns < 0) late();
    else durations.record(key, record.cpu, ns);
  };
  return (
    dev: number,
    row: number,
    sector: number,
    operation: number,
    sectors: number,
    record: EventRecord,
  ): void => {
    const droppedBefore = requests.dropped();
    const queued = find(dev, sector, operation, QUEUED);
    const issued = find(dev, sector, operation, ISSUED);
    if (queued < 0 && issued < 0) {
      // The bio that requested a flush has 0 sectors. It completes after the flush, but was not issued.
      if (sectors > 0 && requests.dropped() === droppedBefore) noStart();
      return;
    }
    const remaining = table.sectors(issued >= 0 ? issued : queued) - sectors;
    if (sectors > 0 && remaining > 0) {
      for (const entry of [queued, issued]) {
        if (entry < 0) continue;
        table.setSectors(entry, table.sectors(entry) - sectors);
        table.move(entry, sector + sectors);
      }
      return;
    }
    const key = series.key(row, operation);
    if (queued >= 0) measure(series.fromQueue, key, queued, record);
    if (issued >= 0) measure(series.fromIssue, key, issued, record);
  };
}

/** The histograms have a series per device and operation, the counter one per device, operation and action. */
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
