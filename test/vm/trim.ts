/** Cuts a recording down to its earliest pages, counted over all CPUs together, so that it can be kept as a fixture. */
import { TRACER_FORMATS } from '../../src/agent/record/record.ts';
import { loadPage, makePage } from '../../src/decode/page.ts';
import { openCapture } from '../../src/tracedat/read.ts';
import { openCaptureWriter } from '../../src/tracedat/write.ts';

/** Where the addresses of an x86_64 kernel and its modules lie. */
const KERNEL_HIGH = 0xffffffff;

/**
 * Writes the first `pages` pages of `from` to `to`, without counts, because those are of the whole recording. Keeps
 * only the kernel's symbols to which an address in the pages may belong.
 */
export function trimCapture(from: string, to: string, pages: number): void {
  const capture = openCapture(from);
  const { metadata, source } = capture;
  const pagesFound: { cpu: number; ts: number; bytes: Uint8Array }[] = [];
  const page = makePage(metadata.layout);
  for (const cpu of source.cpus()) {
    for (;;) {
      const length = source.readPage(cpu, page.bytes);
      if (length === 0) break;
      const error = loadPage(page, metadata.layout, length);
      if (error !== undefined) throw new Error(`${from}: CPU ${cpu}: ${error}`);
      pagesFound.push({ cpu, ts: page.timestampNs, bytes: page.bytes.slice(0, length) });
    }
  }
  const symbols = capture.kallsyms();
  capture.close();
  const first = pagesFound.sort((a, b) => a.ts - b.ts).slice(0, pages);
  const kallsyms = symbolsOf(
    symbols,
    first.map(({ bytes }) => bytes),
  );
  const writer = openCaptureWriter(to, {
    metadata,
    events: metadata.events(),
    ftraceFormats: TRACER_FORMATS.filter((record) => metadata.formatText(`ftrace:${record}`) !== undefined),
  });
  try {
    for (const { cpu, bytes } of first) writer.addPage(cpu, bytes);
    writer.finish({ stats: [], kallsyms });
  } finally {
    writer.discard();
  }
}

/** Lines of the symbols that some 64 bits in the pages point into. */
function symbolsOf(kallsyms: string, pages: readonly Uint8Array[]): string {
  const lines = kallsyms.split('\n').flatMap((line) => {
    const digits = /^ffffffff([0-9a-f]{8}) /.exec(line)?.[1];
    return digits === undefined ? [] : [{ address: Number.parseInt(digits, 16), line }];
  });
  // The sort is stable: several names of one address stay in their order.
  lines.sort((a, b) => a.address - b.address);
  const first = new Set<string>();
  for (const address of addressesIn(pages)) {
    let low = 0;
    let high = lines.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (lines[middle].address <= address) low = middle + 1;
      else high = middle;
    }
    // Keeps all names of the address where it begins, and where the next one begins.
    const start = lines[low - 1]?.address;
    for (let i = low - 1; i >= 0 && lines[i].address === start; i--) first.add(lines[i].line);
    if (low < lines.length) first.add(lines[low].line);
  }
  return lines.flatMap(({ line }) => (first.has(line) ? [`${line}\n`] : [])).join('');
}

/** Low words of everything that looks like a kernel address, at any multiple of 4. */
function addressesIn(pages: readonly Uint8Array[]): Set<number> {
  const words = new Set<number>();
  for (const bytes of pages) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at + 8 <= bytes.length; at += 4)
      if (view.getUint32(at + 4, true) === KERNEL_HIGH) words.add(view.getUint32(at, true));
  }
  return words;
}
