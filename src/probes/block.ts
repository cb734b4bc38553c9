/**
 * How long do disk requests wait, and how long does the device take? Reads the block_rq_* events (include/trace/events/
 * block.h). Measures time in the queue (first insert to last issue) and at the device (last issue to completion), and
 * counts bytes, errors and requeues. Both times count at completion: only then is it certain that the driver does not
 * put the request back, and each request is one sample however often it was put back.
 *
 * The events carry no request id: device, sector and operation identify a request, first in first out among equals.
 * A flush has sector 0 when issued and 2^64-1 when complete. The bio that asked for the flush completes with 0 sectors
 * and was never issued; before 4.x it was issued as a write that flushes first (`FWS`) with 0 sectors. A request can
 * complete in parts, be put back, or be merged into another.
 * The agent's own requests count too, so that a disk's numbers match /sys/block/NAME/stat.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import type { BlockRequest, BlockSink } from '../model/intervals.ts';
import type { EventHandler, EventRecord } from '../model/record.ts';
import type { TimestampNs } from '../model/time.ts';
import { BLOCK_METRICS, type BlockOptions, declareBlockSeries } from './block-series.ts';
import { deviceNames } from './names/block-devices.ts';
import { FLUSH, OPERATIONS, operationOf, WRITE } from './names/block-operation.ts';
import { IN_INTERRUPT } from './names/trace-flags.ts';
import type { Probe, ProbeContext, ProbeModule } from './probe.ts';
import { ISSUED, QUEUED, RequestTable } from './tables/request-table.ts';

const INSERT = 'block:block_rq_insert';
const ISSUE = 'block:block_rq_issue';
const COMPLETE = 'block:block_rq_complete';
const REQUEUE = 'block:block_rq_requeue';
const MERGE = 'block:block_rq_merge';

const SECTOR_BYTES = 512;
/** `F` in front of another operation. */
const FLUSHES_FIRST = 0x46;
/** Stands for the sector of a bio that asks for a flush and has no data. */
const CARRIER_SECTOR = -1;
/** Requests in flight that the table can hold: more than all queues of ten disks. */
const CAPACITY = 16384;
/** A request that grew at its front is issued under another sector, so its insert is dropped after this time. */
const QUEUED_TOO_LONG_NS = 60e9;
/** Drivers give up after minutes; the completion of an older request was lost. */
const ISSUED_TOO_LONG_NS = 600e9;

export const block: ProbeModule<BlockOptions> = {
  name: 'block',
  help: 'Time of disk requests in the queue and at the device; their bytes and errors.',
  byDefault: true,
  rate: 'low',
  schema: ({ globs, probeSchema }) =>
    probeSchema(
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
      fields: ['common_pid', 'dev', 'sector', 'nr_sector', 'rwbs'],
      without: 'times in the queue are not measured',
    },
    {
      event: REQUEUE,
      fields: ['common_pid', 'dev', 'sector', 'nr_sector', 'rwbs'],
      without: 'requeues are not counted',
    },
    // New in 5.11: without it, inserts of merged requests expire.
    { event: MERGE, fields: ['common_pid', 'dev', 'sector', 'nr_sector', 'rwbs'], without: '' },
  ],
  names: ({ devices }, _kernel, host) => deviceNames(devices, host),
  create: createBlock,
  metrics: BLOCK_METRICS,
};

/** Request that a block_rq_* event is about. Overwritten for every event. */
interface Request {
  /** Row of the device; -1 if the config does not select it. */
  row: number;
  dev: number;
  operation: number;
  sector: number;
  /** Task that the event interrupted or ran in. */
  pid: number;
}

function createBlock(context: ProbeContext, options: BlockOptions): Probe {
  const [hasIssue, hasInsert, hasRequeue] = [ISSUE, INSERT, REQUEUE].map(
    (event) => context.format(event) !== undefined,
  );
  const series = declareBlockSeries(context, options, hasIssue);
  const { devices } = series;
  const requests = new RequestTable(CAPACITY);
  const noStart = context.unmatched('no_start');
  const lost = context.unmatched('lost');
  const late = context.unmatched('late');
  const evicted = context.unmatched('evicted');
  const sink = context.intervals.block;
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
  let lostUntil: TimestampNs = 0;
  let latest: TimestampNs = 0;

  const request: Request = { row: -1, dev: 0, operation: 0, sector: 0, pid: 0 };
  /** Reads the request of an event. Returns false for a device that the config does not select. */
  const requestReader = (event: string) => {
    const devOf = context.int(event, 'dev');
    const sectorOf = context.int(event, 'sector');
    const sectorsOf = context.int(event, 'nr_sector');
    const rwbs = context.bytes(event, 'rwbs');
    const pidAt = context.word(event, 'common_pid');
    return (record: EventRecord): boolean => {
      if (record.timestampNs > latest) latest = record.timestampNs;
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
        // Keeps it apart from the flush that the block layer makes of it, which completes before it.
        request.sector = CARRIER_SECTOR;
      } else request.sector = sectorOf(record);
      request.pid = record.words[(record.offset >> 2) + pidAt];
      return true;
    };
  };

  /** First request in a state with this event's key; -1 if none. Drops requests from before a loss. */
  const find = (state: typeof QUEUED | typeof ISSUED): number => {
    const { dev, sector, operation } = request;
    let match = requests.find(dev, sector, operation, state);
    while (match >= 0 && requests.since(match) < lostUntil) {
      requests.remove(match);
      lost();
      droppedForLoss = true;
      match = requests.find(dev, sector, operation, state);
    }
    return match;
  };
  /** Whether `find` dropped something for this event. */
  let droppedForLoss = false;

  const add = (state: typeof QUEUED | typeof ISSUED, now: TimestampNs): number => {
    if (requests.full) {
      requests.remove(requests.oldest);
      evicted();
    }
    return requests.add(request.dev, request.sector, request.operation, state, now, request.pid);
  };

  const onInsert = (): EventHandler => {
    const readInsert = requestReader(INSERT);
    return (record) => {
      if (!readInsert(record)) return;
      const back = find(QUEUED);
      // Its driver has just put it back: it has been waiting since then.
      if (back >= 0 && requests.requeued(back)) requests.clearRequeued(back);
      else add(QUEUED, record.timestampNs);
    };
  };

  const onIssue = (): EventHandler => {
    const readIssue = requestReader(ISSUE);
    const issuedSectors = context.int(ISSUE, 'nr_sector');
    const issuedIn = context.int(ISSUE, 'common_flags');
    return (record) => {
      if (!readIssue(record)) return;
      let entry = find(QUEUED);
      // Issued again. Without the requeue event, assume that its driver had put it back.
      if (entry < 0 && !hasRequeue) entry = find(ISSUED);
      if (entry < 0) entry = add(ISSUED, record.timestampNs);
      else requests.enter(entry, ISSUED, record.timestampNs, false);
      const issuer = (issuedIn(record) & IN_INTERRUPT) === 0 ? request.pid : 0;
      requests.issue(entry, issuedSectors(record), record.cpu, issuer);
    };
  };

  const readComplete = requestReader(COMPLETE);
  const doneSectors = context.int(COMPLETE, 'nr_sector');
  const errorOf = context.int(COMPLETE, 'error');
  const onComplete = (record: EventRecord): void => {
    if (!readComplete(record)) return;
    const { row, operation } = request;
    const done = doneSectors(record);
    if (done > 0) series.completed(row, operation, done * SECTOR_BYTES);
    if (errorOf(record) !== 0) series.failed(row, operation);
    if (!hasIssue) return;
    droppedForLoss = false;
    const entry = find(ISSUED);
    if (entry < 0) {
      missingIssue(done);
      return;
    }
    const remaining = requests.sectors(entry) - done;
    if (remaining > 0) {
      // With 0 sectors, this is the end of a bio that asked for a flush at the same sector.
      if (done > 0) {
        requests.setSectors(entry, remaining);
        requests.move(entry, request.sector + done);
      }
      return;
    }
    const issuedNs = requests.since(entry);
    const insertedNs = requests.inserted(entry);
    if (insertedNs > issuedNs) late();
    else if (insertedNs !== 0 && hasInsert)
      series.queued(row, operation, requests.issueCpu(entry), issuedNs - insertedNs);
    const ns = record.timestampNs - issuedNs;
    if (ns < 0) late();
    else {
      series.served(row, operation, record.cpu, ns);
      if (sink !== undefined) tell(sink, entry, record, done);
    }
    requests.remove(entry);
  };
  const completedIn = context.int(COMPLETE, 'common_flags');
  const tell = (to: BlockSink, entry: number, record: EventRecord, done: number): void => {
    const sectors = requests.asked(entry);
    const { operation } = request;
    completed.device = devices.nameOf(request.row);
    completed.operation = OPERATIONS[operation];
    completed.bytes = sectors * SECTOR_BYTES;
    // The last event of a request that completed in parts is about the last part.
    completed.sector = operation === FLUSH ? 0 : request.sector - (sectors - done);
    completed.insertNs = requests.inserted(entry);
    completed.issueNs = requests.since(entry);
    completed.completeNs = record.timestampNs;
    completed.pid = requests.pid(entry);
    completed.issueCpu = requests.issueCpu(entry);
    completed.issuer = requests.issuer(entry);
    completed.cpu = record.cpu;
    completed.completer = (completedIn(record) & IN_INTERRUPT) === 0 ? request.pid : 0;
    completed.errno = Math.abs(errorOf(record));
    to.ended(completed);
  };
  /** Handles the end of a request that was not issued: normal for 0 sectors, which is the bio that asked for a flush. */
  const missingIssue = (done: number): void => {
    if (done === 0) return;
    const queued = find(QUEUED);
    if (queued >= 0) requests.remove(queued);
    if (!droppedForLoss) noStart();
  };

  const onRequeue = (): EventHandler => {
    const readRequeue = requestReader(REQUEUE);
    return (record) => {
      if (!readRequeue(record)) return;
      const { timestampNs } = record;
      series.requeued(request.row, request.operation);
      const issued = find(ISSUED);
      if (issued >= 0) requests.enter(issued, QUEUED, timestampNs, true);
      // The driver refused it before it was issued: it has been waiting since its insert, if it had one.
      else if (find(QUEUED) < 0) requests.enter(add(QUEUED, timestampNs), QUEUED, timestampNs, true);
    };
  };

  const onMerge = () => {
    const readMerge = requestReader(MERGE);
    return (record: EventRecord): void => {
      if (!readMerge(record)) return;
      const queued = find(QUEUED);
      if (queued >= 0) requests.remove(queued);
    };
  };

  const dropAged = (): void => {
    for (let entry = requests.oldest; entry >= 0; ) {
      const next = requests.newerThan(entry);
      const age = latest - requests.since(entry);
      const queued = requests.state(entry) === QUEUED;
      if (age > (queued ? QUEUED_TOO_LONG_NS : ISSUED_TOO_LONG_NS)) {
        requests.remove(entry);
        evicted();
      }
      entry = next;
    }
  };

  const handlers: Record<string, EventHandler> = { [COMPLETE]: onComplete };
  // Without issue events, nothing would take requests out of the queue.
  if (hasIssue) {
    handlers[ISSUE] = onIssue();
    if (hasInsert) handlers[INSERT] = onInsert();
    if (hasRequeue) handlers[REQUEUE] = onRequeue();
    if (context.format(MERGE) !== undefined) handlers[MERGE] = onMerge();
  }
  return {
    handlers,
    onLoss: (_cpu, untilNs) => {
      if (untilNs > lostUntil) lostUntil = untilNs;
    },
    sweep: () => {
      dropAged();
      devices.sweep();
    },
  };
}
