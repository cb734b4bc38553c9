/** Cuts a capture down to its first pages by time, all CPUs alike, so that it can be kept as a fixture. */
import { openCapture } from '../../src/capture/read.ts';
import { openCaptureWriter } from '../../src/capture/write.ts';
import { loadPage, makePage } from '../../src/decode/page.ts';

/** Writes the first `pages` pages of `from` to `to`, without counts: those of the whole would not be true of it. */
export function trimCapture(from: string, to: string, pages: number): void {
  const capture = openCapture(from);
  const { metadata, source } = capture;
  const found: { cpu: number; ts: number; bytes: Uint8Array }[] = [];
  const page = makePage(metadata.layout);
  for (const cpu of source.cpus()) {
    for (;;) {
      const length = source.readPage(cpu, page.bytes);
      if (length === 0) break;
      const error = loadPage(page, metadata.layout, length);
      if (error !== undefined) throw new Error(`${from}: CPU ${cpu}: ${error}`);
      found.push({ cpu, ts: page.timestampNs, bytes: page.bytes.slice(0, length) });
    }
  }
  capture.close();
  const kept = found.sort((a, b) => a.ts - b.ts).slice(0, pages);
  const writer = openCaptureWriter(to, { metadata, events: metadata.events() });
  try {
    for (const { cpu, bytes } of kept) writer.addPage(cpu, bytes);
    writer.finish({ stats: [] });
  } finally {
    writer.discard();
  }
}
