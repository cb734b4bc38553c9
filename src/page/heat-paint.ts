/** Paints the cells of a heat map on uPlot's canvas. Hatches gaps and periods in which the agent was not ready. */
import type UPlot from 'uplot';
import { cellBounds, type HeatColumns, type HeatData, startOf } from './heat-data.ts';
import { countColours, cssColour } from './palette.ts';

export function cellPainter(
  dataOf: () => HeatData | undefined,
  columnsOf: () => HeatColumns | undefined,
): (plot: UPlot) => void {
  return (plot) => {
    const [data, columns] = [dataOf(), columnsOf()];
    if (data === undefined || columns === undefined) return;
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const colours = countColours();
    const edges = rowEdges(plot, columns);
    const hatch = hatchOf(ctx);
    data.times.forEach((end, i) => {
      const x = Math.round(plot.valToPos(startOf(data, i), 'x', true));
      const width = Math.max(1, Math.round(plot.valToPos(end, 'x', true)) - x);
      const counts = columns.counts[i];
      if (counts !== undefined) paintColumn(ctx, { counts, most: columns.most, edges, colours }, x, width);
      if (counts !== undefined && !data.notReady.has(end)) return;
      ctx.fillStyle = hatch;
      ctx.fillRect(x, bbox.top, width, bbox.height);
    });
    ctx.restore();
  };
}

interface Paint {
  counts: Float64Array;
  most: number;
  edges: readonly number[];
  colours: readonly string[];
}

function paintColumn(
  ctx: CanvasRenderingContext2D,
  { counts, most, edges, colours }: Paint,
  x: number,
  width: number,
): void {
  const scale = (colours.length - 1) / Math.max(Math.log(most + 1), Math.log(2));
  for (let row = 0; row < counts.length; row++) {
    if (counts[row] === 0) continue;
    ctx.fillStyle = colours[Math.round(Math.log(counts[row] + 1) * scale)];
    ctx.fillRect(x, edges[row + 1], width, Math.max(1, edges[row] - edges[row + 1]));
  }
}

/** Returns the y positions of the rows' bounds on the canvas, starting with the lowest bound. */
function rowEdges(plot: UPlot, columns: HeatColumns): number[] {
  const position = (seconds: number) => Math.round(plot.valToPos(seconds, 'y', true));
  const edges = [position(cellBounds(columns, { column: 0, row: 0 })[0])];
  for (let row = 0; row < columns.rows.count; row++)
    edges.push(position(cellBounds(columns, { column: 0, row })[1]));
  return edges;
}

function hatchOf(ctx: CanvasRenderingContext2D): CanvasPattern | string {
  const tile = document.createElement('canvas');
  tile.width = 8;
  tile.height = 8;
  const pen = tile.getContext('2d');
  if (pen === null) return cssColour('--line');
  pen.strokeStyle = cssColour('--muted');
  pen.lineWidth = 1;
  pen.moveTo(0, 8);
  pen.lineTo(8, 0);
  pen.stroke();
  return ctx.createPattern(tile, 'repeat') ?? cssColour('--line');
}
