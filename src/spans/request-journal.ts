/** A ring buffer (1.3 MiB) of recently completed block requests of all disks, for traces of slow calls. */
import type { BlockRequest } from '../model/intervals.ts';
import type { TimestampNs } from '../model/time.ts';

/** Must be a power of two, because `DEPTH - 1` is a bit mask. */
const DEPTH = 1 << 14;

export interface Requests {
  /** Requests in the order of completion. */
  requests: BlockRequest[];
  /** False if requests of the period may have been overwritten in the ring. */
  whole: boolean;
}

export class RequestJournal {
  readonly #devices = new Array<string>(DEPTH).fill('');
  readonly #operations = new Array<string>(DEPTH).fill('');
  readonly #bytes = new Float64Array(DEPTH);
  readonly #sectors = new Float64Array(DEPTH);
  readonly #inserts = new Float64Array(DEPTH);
  readonly #issues = new Float64Array(DEPTH);
  readonly #completes = new Float64Array(DEPTH);
  readonly #pids = new Int32Array(DEPTH);
  readonly #issueCpus = new Int32Array(DEPTH);
  readonly #issuers = new Int32Array(DEPTH);
  readonly #cpus = new Int32Array(DEPTH);
  readonly #completers = new Int32Array(DEPTH);
  readonly #errnos = new Int32Array(DEPTH);
  #count = 0;

  add(request: BlockRequest): void {
    const at = this.#count++ & (DEPTH - 1);
    this.#devices[at] = request.device;
    this.#operations[at] = request.operation;
    this.#bytes[at] = request.bytes;
    this.#sectors[at] = request.sector;
    this.#inserts[at] = request.insertNs;
    this.#issues[at] = request.issueNs;
    this.#completes[at] = request.completeNs;
    this.#pids[at] = request.pid;
    this.#issueCpus[at] = request.issueCpu;
    this.#issuers[at] = request.issuer;
    this.#cpus[at] = request.cpu;
    this.#completers[at] = request.completer;
    this.#errnos[at] = request.errno;
  }

  /** Returns the requests that completed within this period, in the order of completion. */
  within(fromNs: TimestampNs, toNs: TimestampNs): Requests {
    const requests: BlockRequest[] = [];
    const available = Math.min(DEPTH, this.#count);
    let i = 1;
    for (; i <= available; i++) {
      const at = (this.#count - i) & (DEPTH - 1);
      if (this.#completes[at] <= fromNs) break;
      if (this.#completes[at] <= toNs && this.#issues[at] < toNs) requests.push(this.#request(at));
    }
    return { requests: requests.reverse(), whole: i <= available || available < DEPTH };
  }

  #request(at: number): BlockRequest {
    return {
      device: this.#devices[at],
      operation: this.#operations[at],
      bytes: this.#bytes[at],
      sector: this.#sectors[at],
      insertNs: this.#inserts[at],
      issueNs: this.#issues[at],
      completeNs: this.#completes[at],
      pid: this.#pids[at],
      issueCpu: this.#issueCpus[at],
      issuer: this.#issuers[at],
      cpu: this.#cpus[at],
      completer: this.#completers[at],
      errno: this.#errnos[at],
    };
  }
}
