/**
 * How long do NVMe commands take, and which commands fail? Reads nvme:nvme_setup_cmd and nvme:nvme_complete_rq
 * (drivers/nvme/host/trace.h). The upper four bits of the command id in nvme_setup_cmd are a generation number.
 * nvme_complete_rq may lack this number, so the probe compares only the lower 12 bits. Queue 0 (admin commands) uses
 * other opcodes, so it is included in the errors but not in the times.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { counter, declaredProbe, pair } from './declared/built-in.ts';

const COMPLETE = 'nvme:nvme_complete_rq';
/** Names of enum nvme_opcode (include/linux/nvme.h). */
const OPCODES = {
  0: 'flush',
  1: 'write',
  2: 'read',
  4: 'write_uncorrectable',
  5: 'compare',
  8: 'write_zeroes',
  9: 'discard',
  12: 'verify',
};
const CID = { start: 'cid', end: 'cid', mask: 0xfff };

export const nvme = declaredProbe({
  name: 'nvme',
  help: 'How long NVMe commands take, and which commands fail.',
  rate: 'low',
  buckets: decimalBuckets(1e-6, 10),
  metrics: [
    pair(
      'ftrace_nvme_command_seconds',
      'Time from the set-up of an NVMe command until its completion.',
      { event: 'nvme:nvme_setup_cmd', where: 'qid > 0' },
      { event: COMPLETE, where: 'qid > 0' },
      {
        key: ['ctrl_id', 'qid', CID],
        labels: {
          device: 'start.disk',
          opcode: { field: 'start.opcode', as: 'map', map: OPCODES, default: 'other' },
        },
      },
    ),
    counter(
      'ftrace_nvme_errors_total',
      'NVMe commands that completed with an error (a status other than 0), by device and status.',
      { event: COMPLETE, where: 'status != 0' },
      { labels: { device: 'disk', status: { as: 'hex' } }, isNobodys: true },
    ),
  ],
});
