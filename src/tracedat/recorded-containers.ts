/** Stores in a recording, as markers with JSON, which container each task belongs to when the recording starts. */
import type { RecordedPart } from '../model/containers.ts';

const PREFIX = 'ftrace-exporter: containers ';
/** Maximum number of ids per marker. Some kernels cut off a marker after 1 KiB. */
const IDS_A_MARKER = 80;

/** Returns markers for the parts. Divides a long list of ids among several markers. */
export function containerMarkers(parts: readonly RecordedPart[]): string[] {
  const lineOf = (part: RecordedPart) => PREFIX + JSON.stringify(part);
  return parts.flatMap((part) => {
    const { tids, process } = part;
    if (tids !== undefined && tids.length > IDS_A_MARKER)
      return chunksOf(tids).map((some) => lineOf({ ...part, tids: some }));
    if (process !== undefined && process.length > IDS_A_MARKER)
      return chunksOf(process.slice(1)).map((some) => lineOf({ process: [process[0], ...some] }));
    return [lineOf(part)];
  });
}

function chunksOf(ids: readonly number[]): (readonly number[])[] {
  const count = Math.ceil(ids.length / IDS_A_MARKER);
  return Array.from({ length: count }, (_, i) => ids.slice(i * IDS_A_MARKER, (i + 1) * IDS_A_MARKER));
}

/** Parses a marker. Returns undefined for other markers, and for a marker that the kernel has cut off. */
export function recordedPart(line: string): RecordedPart | undefined {
  if (!line.startsWith(PREFIX)) return undefined;
  try {
    const part = JSON.parse(line.slice(PREFIX.length)) as RecordedPart;
    return [part.tids ?? [], part.process ?? []].every((ids) => ids.every(Number.isInteger))
      ? part
      : undefined;
  } catch {
    return undefined;
  }
}
