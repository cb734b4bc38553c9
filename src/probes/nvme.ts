/**
 * How long do NVMe commands take, and which fail? The upper four bits of `cid` are a generation number that
 * nvme_complete_rq may lack. Queue 0 (admin commands) uses other opcodes, so only its errors are measured.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { counter, declaredProbe, pair } from './declared/built-in.ts';

const COMPLETE = 'nvme:nvme_complete_rq';
/** enum nvme_opcode in include/linux/nvme.h. */
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
