/**
 * How long do disk requests wait, and how long does the device take? The block_rq_* events in (include/trace/events/
 * block.h); time in the queue (first insert to last issue), time at the device (last issue to complete), bytes, errors
 * and requeues by device and operation out. Both times are counted when the request is complete: only then it is known
 * that its driver does not put it back, and each request is one sample, however often it was put back.
 *
 * The events name no request: it is known by device, sector and operation, first in first out among equals. What that
 * has to bear: a flush has sector 0 when issued and 2^64-1 when complete; what asked for the flush completes with 0
 * sectors and was never issued; a request can complete in parts, be put back, or be merged into another. Before 4.x what
 * asked for the flush was issued itself, as a write that flushes first (`FWS`) of no sectors: it is a flush, too.
 * Not filtered by who caused it: a disk's numbers are those of /sys/block/NAME/stat.
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
/** In place of the sector of what asks for a flush and has no data. */
const CARRIER_SECTOR = -1;
/** Requests in flight that are kept track of: more than all queues of ten disks hold. */
const CAPACITY = 16384;
/** A request that grew at its front is issued under another sector: its insert is given up after this. */
const QUEUED_TOO_LONG_NS = 60e9;
/** Drivers give up after minutes; what is older was never completed. */
const ISSUED_TOO_LONG_NS = 600e9;

export const block: ProbeModule<BlockOptions> = {
  name: 'block',
  help: 'How long disk requests wait in the queue and take at the device, their bytes and errors.',
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
      fields: ['common_pid', 'dev', 'sector', 'nr_sector', 'rwbs'],
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
    // Came with 5.11: without it, merged requests age out.
    { event: MERGE, fields: ['common_pid', 'dev', 'sector', 'nr_sector', 'rwbs'], without: '' },
  ],
  names: ({ devices }, _kernel, host) => deviceNames(devices, host),
  create: createBlock,
  metrics: BLOCK_METRICS,
};

/** What every block_rq_* event says of its request. Overwritten for every event. */
interface Request {
  /** Row of the device; -1 when it is none that is asked for. */
  row: number;
  dev: number;
  operation: number;
  sector: number;
  /** Task it happened in. */
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
  const told: BlockRequest = {
    device: '',
    operation: '',
    bytes: 0,
    sector: 0,
    insertNs: 0,
    issueNs: 0,
    completeNs: 0,
    pid: 0,
    issueCpu: 0,
    cpu: 0,
    completer: 0,
    errno: 0,
  };
  let lostUntil: TimestampNs = 0;
  let latest: TimestampNs = 0;

  const request: Request = { row: -1, dev: 0, operation: 0, sector: 0, pid: 0 };
  /** Reads which request an event is about. False: none of ours. */
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
        // Not to be taken for the flush that the block layer makes of it today, and completes before it.
        request.sector = CARRIER_SECTOR;
      } else request.sector = sectorOf(record);
      request.pid = record.words[(record.offset >> 2) + pidAt];
      return true;
    };
  };

  /** First request like this one in a state; -1 when there is none. Those from before a loss are dropped. */
  const find = (state: typeof QUEUED | typeof ISSUED): number => {
    const { dev, sector, operation } = request;
    let found = requests.find(dev, sector, operation, state);
    while (found >= 0 && requests.since(found) < lostUntil) {
      requests.remove(found);
      lost();
      droppedForLoss = true;
      found = requests.find(dev, sector, operation, state);
    }
    return found;
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
      // Put back by its driver a moment ago: waiting since then.
      if (back >= 0 && requests.requeued(back)) requests.clearRequeued(back);
      else add(QUEUED, record.timestampNs);
    };
  };

  const onIssue = (): EventHandler => {
    const readIssue = requestReader(ISSUE);
    const issuedSectors = context.int(ISSUE, 'nr_sector');
    return (record) => {
      if (!readIssue(record)) return;
      let entry = find(QUEUED);
      // Issued again: where nothing tells of requeues, as a rule its driver had put it back.
      if (entry < 0 && !hasRequeue) entry = find(ISSUED);
      if (entry < 0) entry = add(ISSUED, record.timestampNs);
      else requests.enter(entry, ISSUED, record.timestampNs, false);
      requests.issue(entry, issuedSectors(record), record.cpu);
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
    const left = requests.sectors(entry) - done;
    if (left > 0) {
      // Nothing done: what ended is not this request, but one that asked for a flush at the same sector.
      if (done > 0) {
        requests.setSectors(entry, left);
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
    const asked = requests.asked(entry);
    const { operation } = request;
    told.device = devices.nameOf(request.row);
    told.operation = OPERATIONS[operation];
    told.bytes = asked * SECTOR_BYTES;
    // The last event of one that was completed in parts is about the last part.
    told.sector = operation === FLUSH ? 0 : request.sector - (asked - done);
    told.insertNs = requests.inserted(entry);
    told.issueNs = requests.since(entry);
    told.completeNs = record.timestampNs;
    told.pid = requests.pid(entry);
    told.issueCpu = requests.issueCpu(entry);
    told.cpu = record.cpu;
    told.completer = (completedIn(record) & IN_INTERRUPT) === 0 ? request.pid : 0;
    told.errno = Math.abs(errorOf(record));
    to.ended(told);
  };
  /** The end of what was not issued: normal for 0 sectors, the carrier of a flush. */
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
      // The driver refused it before it was issued: it waits since its insert, if it had one.
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
  // Without issues nothing would take requests out of the queue again.
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
