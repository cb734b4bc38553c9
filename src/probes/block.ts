/**
 * How long do disk requests wait in the queue (first insert to last issue), and how long does the device take (last
 * issue to completion)? Both times are recorded at completion, because a request can be requeued until then. The
 * agent's own requests count, so that the numbers match /sys/block/NAME/stat.
 *
 * The events contain no request id, so device, sector and operation identify a request. A flush has sector 0 in its
 * issue event and sector 2^64-1 in its completion event. The bio that requested the flush has only a completion event,
 * with 0 sectors. (Kernels 3.x also issue this bio, as a write of 0 sectors with `rwbs` `FWS`.)
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { globMatcher } from '../config/units/globs.ts';
import { KERNEL, UNKNOWN } from '../model/containers.ts';
import type { BlockRequest } from '../model/intervals.ts';
import type { EventHandler, EventRecord } from '../model/record.ts';
import type { TimestampNs } from '../model/time.ts';
import { BLOCK_METRICS, type BlockOptions, declareBlockSeries } from './block-series.ts';
import { deviceNames } from './names/block-devices.ts';
import { FLUSH, OPERATIONS, operationOf, WRITE } from './names/block-operation.ts';
import { IN_INTERRUPT } from './names/trace-flags.ts';
import type { Probe, ProbeContext, ProbeModule } from './probe.ts';
import { type Split, splitOf } from './split.ts';
import { ISSUED, QUEUED, type RequestState } from './tables/request-table.ts';
import { requestsInFlight } from './tables/requests-in-flight.ts';

const INSERT = 'block:block_rq_insert';
const ISSUE = 'block:block_rq_issue';
const COMPLETE = 'block:block_rq_complete';
const REQUEUE = 'block:block_rq_requeue';
const MERGE = 'block:block_rq_merge';

const SECTOR_BYTES = 512;
/** First letter of `rwbs` if the disk must flush its cache before the operation. */
const FLUSHES_FIRST = 0x46;
/** Sector number for a bio that requests a flush and has no data. */
const CARRIER_SECTOR = -1;
/** Enough for all queues of ten disks. */
const CAPACITY = 16384;
/**
 * Evict queued requests after this time. A merge into the front of a request changes its sector, so its issue event
 * does not find the queued entry.
 */
const QUEUED_TOO_LONG_NS = 60e9;
/** Drivers time out earlier, so the completion event was lost. */
const ISSUED_TOO_LONG_NS = 600e9;

export const block: ProbeModule<BlockOptions> = {
  name: 'block',
  help: 'How long disk requests spend in the queue and at the device, how many bytes they transfer, and how many fail.',
  byDefault: true,
  rate: 'low',
  schema: ({ globs, taskProbeSchema }) =>
    taskProbeSchema(
      { enabled: true, per_cpu: false, max_series: 500, buckets: decimalBuckets(1e-5, 10) },
      { devices: globs('name').prefault(['*']) },
    ),
  needs: () => [
    {
      event: ISSUE,
      fields: ['common_pid', 'common_flags', 'dev', 'sector', 'nr_sector', 'rwbs'],
      without: 'times in the queue and at the device are not measured',
    },
    {
      event: COMPLETE,
      fields: ['common_pid', 'common_flags', 'dev', 'sector', 'nr_sector', 'error', 'rwbs'],
    },
    {
      event: INSERT,
      fields: ['common_pid', 'common_flags', 'dev', 'sector', 'nr_sector', 'rwbs'],
      without: 'times in the queue are not measured',
    },
    {
      event: REQUEUE,
      fields: ['common_pid', 'common_flags', 'dev', 'sector', 'nr_sector', 'rwbs'],
      without: 'requeues are not counted',
    },
    // Kernels before 5.11 lack this event. Merged requests then stay in the table until they are evicted.
    {
      event: MERGE,
      fields: ['common_pid', 'common_flags', 'dev', 'sector', 'nr_sector', 'rwbs'],
      without: '',
    },
  ],
  names: ({ devices }, _kernel, host) => deviceNames(devices, host),
  create: createBlock,
  reporting: {
    reportsAll: ({ devices }) => devices.some((glob) => /^\*+$/.test(glob)),
    helper: () => ({ devices: ['*'] }),
    counts: ({ devices }) => globMatcher(devices),
  },
  metrics: BLOCK_METRICS,
};

/** The request of the current event. Overwritten for every event. */
interface Request {
  /** -1 if the config excludes the device. */
  row: number;
  dev: number;
  operation: number;
  sector: number;
  /** Pid of the task that caused the event; 0 for an interrupt. */
  pid: number;
  /** Pid of the running task, which an interrupt may have interrupted. */
  commonPid: number;
}

function createBlock(context: ProbeContext, options: BlockOptions): Probe {
  const state = makeState(context, options);
  const { series, requests, hasIssue, hasInsert, hasRequeue } = state;
  const handlers: Record<string, EventHandler> = { [COMPLETE]: onComplete(context, state) };
  // Without issue events, queued entries would never be removed.
  if (hasIssue) {
    handlers[ISSUE] = onIssue(context, state);
    if (hasInsert) handlers[INSERT] = onInsert(context, state);
    if (hasRequeue) handlers[REQUEUE] = onRequeue(context, state);
    if (context.format(MERGE) !== undefined) handlers[MERGE] = onMerge(context, state);
  }
  return {
    handlers,
    onLoss: (_cpu, untilNs) => requests.voidUntil(untilNs),
    sweep: () => {
      requests.dropAged(state.latest[0]);
      series.devices.sweep();
    },
  };
}

type State = ReturnType<typeof makeState>;

function makeState(context: ProbeContext, options: BlockOptions) {
  const [hasIssue, hasInsert, hasRequeue] = [ISSUE, INSERT, REQUEUE].map(
    (event) => context.format(event) !== undefined,
  );
  const request: Request = { row: -1, dev: 0, operation: 0, sector: 0, pid: 0, commonPid: 0 };
  const series = declareBlockSeries(context, options, hasIssue);
  const noStart = context.unmatched('no_start');
  const lost = context.unmatched('lost');
  const late = context.unmatched('late');
  const evicted = context.unmatched('evicted');
  return {
    hasIssue,
    hasInsert,
    hasRequeue,
    series,
    request,
    requests: trackRequests(request, splitOf(context, options), lost, evicted),
    noStart,
    late,
    /** Element 0: time of the latest event. In an object field, V8 would allocate a double at each write. */
    latest: new Float64Array(1),
  };
}

/** Returns a function that copies an event to `request`, and returns false if the config excludes the device. */
function requestReader(context: ProbeContext, event: string, { request, series, latest }: State) {
  const { devices } = series;
  const devOf = context.int(event, 'dev');
  const sectorOf = context.int(event, 'sector');
  const sectorsOf = context.int(event, 'nr_sector');
  const rwbs = context.bytes(event, 'rwbs');
  const pidAt = context.word(event, 'common_pid');
  const flagsOf = context.int(event, 'common_flags');
  return (record: EventRecord): boolean => {
    if (record.timestampNs > latest[0]) latest[0] = record.timestampNs;
    request.dev = devOf(record) | 0;
    request.row = devices.row(request.dev);
    if (request.row < 0) return false;
    const letters = rwbs.start(record);
    request.operation = operationOf(record.bytes, letters, rwbs.end(record));
    if (request.operation === FLUSH) request.sector = 0;
    else if (
      request.operation === WRITE &&
      record.bytes[letters] === FLUSHES_FIRST &&
      sectorsOf(record) === 0
    ) {
      request.operation = FLUSH;
      // Distinguishes this bio from the flush that the block layer creates for it.
      request.sector = CARRIER_SECTOR;
    } else request.sector = sectorOf(record);
    request.commonPid = record.words[(record.offset >> 2) + pidAt];
    request.pid = (flagsOf(record) & IN_INTERRUPT) === 0 ? request.commonPid : 0;
    return true;
  };
}

/** `find` and `add` use the key in `request`. */
function trackRequests(request: Request, { containerOf }: Split, lost: () => void, evicted: () => void) {
  const all = requestsInFlight(CAPACITY, lost, evicted);
  const { table, dropped, voidUntil } = all;
  return {
    table,
    dropped,
    voidUntil,
    find: (state: RequestState): number => all.find(request.dev, request.sector, request.operation, state),
    add: (state: RequestState, now: TimestampNs): number => {
      const { dev, sector, operation, pid } = request;
      const entry = all.add(dev, sector, operation, state, now, request.commonPid);
      table.setContainer(entry, pid === 0 ? KERNEL : containerOf(pid));
      return entry;
    },
    dropAged: (now: TimestampNs): void =>
      all.evictIf((entry) => {
        const longest = table.state(entry) === QUEUED ? QUEUED_TOO_LONG_NS : ISSUED_TOO_LONG_NS;
        return now - table.since(entry) > longest;
      }),
  };
}

function onInsert(context: ProbeContext, state: State): EventHandler {
  const { table, find, add } = state.requests;
  const readInsert = requestReader(context, INSERT, state);
  return (record) => {
    if (!readInsert(record)) return;
    const back = find(QUEUED);
    // After a requeue event, the wait began at that event.
    if (back >= 0 && table.requeued(back)) table.clearRequeued(back);
    else add(QUEUED, record.timestampNs);
  };
}

function onIssue(context: ProbeContext, state: State): EventHandler {
  const { request, hasRequeue } = state;
  const { table, find, add } = state.requests;
  const readIssue = requestReader(context, ISSUE, state);
  const issuedSectors = context.int(ISSUE, 'nr_sector');
  return (record) => {
    if (!readIssue(record)) return;
    let entry = find(QUEUED);
    // Without requeue events, a second issue means that the driver put the request back.
    if (entry < 0 && !hasRequeue) entry = find(ISSUED);
    if (entry < 0) entry = add(ISSUED, record.timestampNs);
    else table.enter(entry, ISSUED, record.timestampNs, false);
    table.issue(entry, issuedSectors(record), record.cpu, request.pid);
  };
}

function onComplete(context: ProbeContext, state: State): EventHandler {
  const { series, request, requests, hasIssue, hasInsert, noStart, late } = state;
  const { table, find } = requests;
  const report = reporter(context, state);
  const readComplete = requestReader(context, COMPLETE, state);
  const doneSectors = context.int(COMPLETE, 'nr_sector');
  const errorOf = context.int(COMPLETE, 'error');

  /** A completion without an issue is normal for a bio that requested a flush. Its event has 0 sectors. */
  const missingIssue = (done: number, droppedBefore: number): void => {
    if (done === 0) return;
    const queued = find(QUEUED);
    if (queued >= 0) table.remove(queued);
    if (requests.dropped() === droppedBefore) noStart();
  };

  return (record) => {
    if (!readComplete(record)) return;
    const { row, operation } = request;
    const done = doneSectors(record);
    const droppedBefore = requests.dropped();
    const entry = hasIssue ? find(ISSUED) : -1;
    const container = entry < 0 ? UNKNOWN : table.container(entry);
    if (done > 0) series.completed(row, operation, done * SECTOR_BYTES, container);
    if (errorOf(record) !== 0) series.failed(row, operation, container);
    if (!hasIssue) return;
    if (entry < 0) {
      missingIssue(done, droppedBefore);
      return;
    }
    const remaining = table.sectors(entry) - done;
    if (remaining > 0) {
      // With 0 sectors, this is the completion of a bio that requested a flush, not of the request.
      if (done > 0) {
        table.setSectors(entry, remaining);
        table.move(entry, request.sector + done);
      }
      return;
    }
    const issuedNs = table.since(entry);
    const insertedNs = table.inserted(entry);
    if (insertedNs > issuedNs) late();
    else if (insertedNs !== 0 && hasInsert)
      series.queued(row, operation, table.issueCpu(entry), issuedNs - insertedNs, container);
    const ns = record.timestampNs - issuedNs;
    if (ns < 0) late();
    else {
      series.served(row, operation, record.cpu, ns, container);
      report?.(entry, record, done, errorOf(record));
    }
    table.remove(entry);
  };
}

function reporter({ intervals }: ProbeContext, { series, request, requests }: State) {
  const sink = intervals.block;
  if (sink === undefined) return undefined;
  const { table } = requests;
  const completed: BlockRequest = {
    device: '',
    operation: '',
    bytes: 0,
    sector: 0,
    insertNs: 0,
    issueNs: 0,
    completeNs: 0,
    pid: 0,
    issueCpu: 0,
    issuer: 0,
    cpu: 0,
    completer: 0,
    errno: 0,
  };
  return (entry: number, record: EventRecord, done: number, error: number): void => {
    const sectors = table.asked(entry);
    const { operation } = request;
    completed.device = series.devices.nameOf(request.row);
    completed.operation = OPERATIONS[operation];
    completed.bytes = sectors * SECTOR_BYTES;
    // If a request completed in parts, `request.sector` and `done` describe only the last part.
    completed.sector = operation === FLUSH ? 0 : request.sector - (sectors - done);
    completed.insertNs = table.inserted(entry);
    completed.issueNs = table.since(entry);
    completed.completeNs = record.timestampNs;
    completed.pid = table.pid(entry);
    completed.issueCpu = table.issueCpu(entry);
    completed.issuer = table.issuer(entry);
    completed.cpu = record.cpu;
    completed.completer = request.pid;
    completed.errno = Math.abs(error);
    sink.ended(completed);
  };
}

function onRequeue(context: ProbeContext, state: State): EventHandler {
  const { series, request } = state;
  const { table, find, add } = state.requests;
  const readRequeue = requestReader(context, REQUEUE, state);
  return (record) => {
    if (!readRequeue(record)) return;
    const { timestampNs } = record;
    const issued = find(ISSUED);
    const container = issued < 0 ? UNKNOWN : table.container(issued);
    series.requeued(request.row, request.operation, container);
    if (issued >= 0) table.enter(issued, QUEUED, timestampNs, true);
    // The issue event is missing. If the insert event is missing too, the wait begins now.
    else if (find(QUEUED) < 0) table.enter(add(QUEUED, timestampNs), QUEUED, timestampNs, true);
  };
}

function onMerge(context: ProbeContext, state: State): EventHandler {
  const { table, find } = state.requests;
  const readMerge = requestReader(context, MERGE, state);
  return (record) => {
    if (!readMerge(record)) return;
    const queued = find(QUEUED);
    if (queued >= 0) table.remove(queued);
  };
}
