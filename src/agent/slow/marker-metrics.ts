/** Counts the markers that applications write about their spans, by outcome. */
import type { MetricStore } from '../../metrics/store.ts';
import { MARKER_OUTCOMES, type MarkerOutcome } from '../../spans/app-contexts.ts';

const MARKERS = {
  name: 'ftrace_exporter_markers_total',
  help: 'Markers that applications wrote to the kernel trace to report the start or end of their own spans, by outcome.',
  labels: ['outcome'],
};

/** All series start at 0. The returned function counts one marker. */
export function declareMarkerCounts(store: MetricStore): (outcome: MarkerOutcome) => void {
  const markers = store.counter(MARKERS);
  const slots = Object.fromEntries(
    MARKER_OUTCOMES.map((outcome) => [outcome, markers.slot([outcome])]),
  ) as Record<MarkerOutcome, number>;
  return (outcome) => markers.add(slots[outcome], 1);
}
