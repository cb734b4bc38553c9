/** Metric families of block requests. A row is a device and an operation. */
import { globMatcher } from '../config/units/globs.ts';
import { declareDurations, declareTaskCounts } from './families.ts';
import { SeenDevices } from './names/block-devices.ts';
import { OPERATIONS, READ, WRITE } from './names/block-operation.ts';
import type { CommonOptions, ProbeContext } from './probe.ts';

const LABELS = ['device', 'operation'];
const QUEUE = {
  name: 'ftrace_block_io_queue_seconds',
  help: 'Time a disk request waited in the queue, from its first insertion until its last issue to the driver. Requests that were issued without queueing are not included.',
  labels: LABELS,
  open: ['device'],
};
const DEVICE = {
  name: 'ftrace_block_io_device_seconds',
  help: 'Time a disk request spent at the device, from its last issue to the driver until its completion.',
  labels: LABELS,
  open: ['device'],
};
const BYTES = {
  name: 'ftrace_block_io_bytes_total',
  help: 'Bytes transferred by completed disk requests.',
  labels: LABELS,
  open: ['device'],
};
const ERRORS = {
  name: 'ftrace_block_io_errors_total',
  help: 'Disk requests that completed with an error.',
  labels: LABELS,
  open: ['device'],
};
const REQUEUES = {
  name: 'ftrace_block_io_requeues_total',
  help: 'Times a driver put a disk request back into the queue, for example because the device queue was full.',
  labels: LABELS,
  open: ['device'],
};

export const BLOCK_METRICS = [QUEUE, DEVICE, BYTES, ERRORS, REQUEUES];

export interface BlockOptions extends CommonOptions {
  devices: readonly string[];
}

/** Without the event block_rq_issue (`hasIssue`), the probe measures no times. */
export function declareBlockSeries(context: ProbeContext, options: BlockOptions, hasIssue: boolean) {
  const key = (row: number, operation: number) => row * OPERATIONS.length + operation;
  const labels = (at: number) => [
    devices.nameOf(Math.floor(at / OPERATIONS.length)),
    OPERATIONS[at % OPERATIONS.length],
  ];
  const queue = declareDurations(context, QUEUE, options, labels);
  const device = declareDurations(context, DEVICE, options, labels);
  const bytes = declareTaskCounts(context, BYTES, options, labels, { unit: 'bytes' });
  const errors = declareTaskCounts(context, ERRORS, options, labels);
  const requeues = declareTaskCounts(context, REQUEUES, options, labels);
  const devices = new SeenDevices(
    context.host,
    globMatcher(options.devices),
    (row) => {
      // Reads and writes start at 0 when a disk is first seen. Other series appear with their first request.
      for (const operation of [READ, WRITE]) {
        if (hasIssue) device.show(key(row, operation));
        bytes.show(key(row, operation));
        errors.show(key(row, operation));
      }
    },
    (row, name) => {
      for (let operation = 0; operation < OPERATIONS.length; operation++) {
        for (const series of [queue, device, bytes, errors, requeues]) series.forget(key(row, operation));
      }
      if (name === '') return;
      for (const { family } of [queue, device, bytes, errors, requeues]) family.release('device', name);
    },
  );
  return {
    devices,
    queued: (row: number, operation: number, cpu: number, ns: number, container: number) =>
      queue.record(key(row, operation), cpu, ns, container),
    served: (row: number, operation: number, cpu: number, ns: number, container: number) =>
      device.record(key(row, operation), cpu, ns, container),
    completed: (row: number, operation: number, amount: number, container: number) => {
      bytes.record(key(row, operation), 0, amount, container);
      // Create the series, so that a container's first error shows as an increase.
      if (options.per_container) errors.record(key(row, operation), 0, 0, container);
    },
    failed: (row: number, operation: number, container: number) =>
      errors.record(key(row, operation), 0, 1, container),
    requeued: (row: number, operation: number, container: number) =>
      requeues.record(key(row, operation), 0, 1, container),
  };
}
