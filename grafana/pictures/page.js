/**
 * Draws the panels of a dashboard (DATA.board, from frames.ts) as Grafana would: kinds of panel, legends, units,
 * thresholds, and the words of empty ones. For pictures in the documentation only.
 */
/* global uPlot, DATA */
const COLUMN_PX = innerWidth / 24;
const GAP_PX = 6;
const PALETTE = [
  '#73bf69',
  '#f2cc0c',
  '#5794f2',
  '#ff9830',
  '#f2495c',
  '#8ab8ff',
  '#b877d9',
  '#705da0',
  '#37872d',
];
const COLOURS = { green: '#73bf69', orange: '#ff9830', red: '#f2495c' };
const LEGEND_ROW_PX = 15;
const LEGEND_ROWS = 5;
const AXIS_PX = 94;

const digits = (value) =>
  value === 0 ? '0' : Number(value.toPrecision(3)).toLocaleString('en', { maximumSignificantDigits: 3 });

function scaled(value, base, prefixes, unit) {
  let step = 0;
  let rest = Math.abs(value);
  while (rest >= base && step < prefixes.length - 1) {
    rest /= base;
    step++;
  }
  return `${digits(Math.sign(value) * rest)} ${prefixes[step]}${unit}`.trim();
}

/** As Grafana formats a unit. */
function format(value, unit) {
  if (value === null || value === undefined) return '-';
  if (unit === 'percentunit') return `${digits(value * 100)}%`;
  if (unit === 's' || unit.startsWith('si:')) {
    const name = unit === 's' ? 's' : unit.slice(3);
    if (value === 0) return `0 ${name}`;
    const exponent = Math.min(0, Math.max(-3, Math.floor(Math.log10(Math.abs(value)) / 3)));
    return `${digits(value / 1000 ** exponent)} ${['', 'm', 'µ', 'n'][-exponent]}${name}`;
  }
  if (unit === 'bytes') return scaled(value, 1024, ['', 'Ki', 'Mi', 'Gi'], 'B');
  if (unit === 'Bps') return scaled(value, 1000, ['', 'k', 'M', 'G'], 'B/s');
  const per = { ops: 'ops/s', eps: 'events/s', cps: 'calls/s', iops: 'io/s', short: '' }[unit];
  if (per === undefined) throw new Error(`page.js has no unit ${unit}`);
  return scaled(value, 1000, ['', 'K', 'M', 'G'], per === '' ? '' : ` ${per}`).replace(
    /(\d)\s+(?=[a-z])/,
    '$1 ',
  );
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const defaultsOf = ({ fieldConfig }) => fieldConfig?.defaults ?? {};
const stepsOf = (panel) => defaultsOf(panel).thresholds?.steps ?? [];

function colourOf(panel, value) {
  const step = stepsOf(panel).findLast(
    (one) => one.value === null || one.value === undefined || value >= one.value,
  );
  return COLOURS[step?.color] ?? COLOURS.green;
}

const last = (values) => values.findLast((value) => value !== null) ?? null;
const highest = (values) =>
  values.reduce((most, value) => (value !== null && (most === null || value > most) ? value : most), null);

function legend(box, panel, series, colours) {
  const unit = defaultsOf(panel).unit;
  const table = element('table', 'legend');
  const rows = series.map((one, i) => ({ one, colour: colours[i] }));
  if (panel.options.legend.sortBy === 'Max')
    rows.sort((a, b) => highest(b.one.values) - highest(a.one.values));
  for (const { one, colour } of rows.slice(0, LEGEND_ROWS)) {
    const row = table.insertRow();
    const name = row.insertCell();
    const swatch = element('span', 'swatch');
    swatch.style.background = colour;
    name.append(swatch, one.name);
    row.insertCell().textContent = format(last(one.values), unit);
    row.insertCell().textContent = `max ${format(highest(one.values), unit)}`;
  }
  box.append(table);
  if (rows.length > LEGEND_ROWS) box.append(element('div', 'legend', `… ${rows.length - LEGEND_ROWS} more`));
}

function timeseries(box, panel, { series, times }, width, height) {
  const { unit, max, custom = {}, color } = defaultsOf(panel);
  const byThreshold = color?.mode === 'thresholds';
  const colours = series.map((one, i) =>
    byThreshold ? colourOf(panel, last(one.values)) : PALETTE[i % PALETTE.length],
  );
  const isStacked = custom.stacking?.mode === 'normal';
  const drawn = series.map(({ values }) => [...values]);
  if (isStacked)
    for (let i = 1; i < drawn.length; i++)
      drawn[i] = drawn[i].map((value, at) => (value ?? 0) + (drawn[i - 1][at] ?? 0));
  const isLog = custom.scaleDistribution?.type === 'log';
  // A logarithm of 0 is nowhere.
  const data = [
    times,
    ...drawn.map((values) => (isLog ? values.map((value) => (value > 0 ? value : null)) : values)),
  ];
  const dashed = custom.thresholdsStyle?.mode === 'dashed' ? stepsOf(panel).filter(({ value }) => value) : [];
  const legendRows = Math.min(series.length, LEGEND_ROWS) + (series.length > LEGEND_ROWS ? 1 : 0);
  const upTo = (most) => max ?? (Math.max((most ?? 0) * 1.1, custom.axisSoftMax ?? 0) || 1);
  // Powers of ten, each with its line; of bytes powers of two.
  const decades = (_, __, from, to) =>
    Array.from({ length: 24 }, (___, i) => 10 ** (i - 12)).filter((one) => one >= from && one <= to);
  const binary = Array.from({ length: 50 }, (_, i) => 2 ** i);
  new uPlot(
    {
      width,
      height: height - legendRows * LEGEND_ROW_PX,
      cursor: { show: false },
      scales: {
        y: isLog ? { distr: 3 } : { range: (_, __, to) => [0, upTo(to)] },
      },
      axes: [
        { font: '10px sans-serif', size: 24, grid: { stroke: '#eee' } },
        {
          font: '10px sans-serif',
          size: AXIS_PX,
          space: 18,
          grid: { stroke: '#eee' },
          ...(isLog ? { splits: decades } : {}),
          ...(unit === 'bytes' ? { incrs: binary } : {}),
          values: (_, ticks) => ticks.map((tick) => (tick === null ? '' : format(tick, unit))),
        },
      ],
      series: [
        {},
        ...series.map(({ name }, i) => ({
          label: name,
          stroke: colours[i],
          width: 1,
          points: { show: false },
          ...(isStacked ? { fill: `${colours[i]}55` } : {}),
        })),
      ],
      hooks: {
        draw: [
          (plot) => {
            for (const { value, color: name } of dashed) {
              const y = plot.valToPos(value, 'y', true);
              if (y < plot.bbox.top || y > plot.bbox.top + plot.bbox.height) continue;
              plot.ctx.save();
              plot.ctx.strokeStyle = COLOURS[name];
              plot.ctx.setLineDash([6, 4]);
              plot.ctx.beginPath();
              plot.ctx.moveTo(plot.bbox.left, y);
              plot.ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
              plot.ctx.stroke();
              plot.ctx.restore();
            }
          },
        ],
      },
    },
    data,
    box,
  );
  legend(box, panel, series, colours);
}

/** Counts by bucket, from the cumulative ones; only the rows between the first and the last that hold something. */
function heatmap(box, panel, { series, times }, width, height) {
  const bound = ({ le }) => Number(le.replace('+Inf', 'Infinity'));
  const buckets = series.toSorted((a, b) => bound(a) - bound(b));
  const counts = buckets.map(({ values }, i) =>
    values.map((value, at) => Math.max(0, (value ?? 0) - (buckets[i - 1]?.values[at] ?? 0))),
  );
  const isUsed = counts.map((values) => values.some((value) => value > 0));
  const from = isUsed.indexOf(true);
  const to = isUsed.lastIndexOf(true);
  const most = highest(counts.flat());
  const canvas = element('canvas', '');
  canvas.width = width;
  canvas.height = height;
  box.append(canvas);
  const draw = canvas.getContext('2d');
  draw.font = '10px sans-serif';
  const left = AXIS_PX;
  const rowPx = (height - 16) / (to - from + 1);
  const columnPx = (width - left) / times.length;
  const unit = panel.options.yAxis.unit;
  for (let bucket = from; bucket <= to; bucket++) {
    const y = (to - bucket) * rowPx;
    counts[bucket].forEach((count, at) => {
      if (count <= 0) return;
      draw.fillStyle = `hsl(${40 - 25 * (count / most) ** 0.5} 95% ${85 - 50 * (count / most) ** 0.5}%)`;
      draw.fillRect(left + at * columnPx, y, columnPx + 0.5, rowPx - 0.5);
    });
    draw.fillStyle = '#6e6e6e';
    const every = Math.ceil(14 / rowPx);
    const { le } = buckets[bucket];
    const label = le === '+Inf' ? le : format(Number(le), unit);
    if ((to - bucket) % every === 0) draw.fillText(label, 2, y + Math.min(rowPx, 10));
  }
  draw.fillStyle = '#6e6e6e';
  const clock = (time) => new Date(time * 1000).toISOString().slice(11, 16);
  for (const at of [0, 0.25, 0.5, 0.75])
    draw.fillText(clock(times[Math.floor(at * times.length)]), left + at * (width - left), height - 3);
}

function bargauge(box, panel, { series }) {
  const unit = defaultsOf(panel).unit;
  const rows = series
    .map(({ name, values }) => ({ name, value: values[0] }))
    .filter(({ value }) => value !== null);
  const most = defaultsOf(panel).max ?? Math.max(...rows.map(({ value }) => value), 1e-12);
  for (const { name, value } of rows) {
    const bar = element('div', 'bar');
    const track = element('div', 'track');
    const fill = element('div', 'fill');
    fill.style.width = `${Math.min(100, (100 * value) / most)}%`;
    fill.style.background = colourOf(panel, value);
    track.append(fill);
    const number = element('div', 'value', format(value, unit));
    number.style.color = colourOf(panel, value);
    bar.append(element('div', 'name', name), track, number);
    box.append(bar);
  }
}

function stat(box, panel, { series }) {
  const value = last(series[0].values);
  const number = element('div', 'stat', format(value, defaultsOf(panel).unit));
  number.style.color = colourOf(panel, value);
  box.append(number);
}

/** Two labels as rows and columns. Larger values are darker. */
function table(box, panel, { series }) {
  const { rowField, columnField } = panel.transformations[0].options;
  const valuesOf = (label) => [...new Set(series.map(({ labels }) => labels[label]))].sort();
  const columns = valuesOf(columnField);
  const most = Math.max(...series.map(({ values }) => values[0]), 1e-12);
  const made = element('table', 'matrix');
  const rowOf = (...cells) => {
    const row = element('tr', '');
    row.append(...cells);
    made.append(row);
  };
  rowOf(element('th', '', rowField), ...columns.map((name) => element('th', '', name)));
  for (const name of valuesOf(rowField)) {
    const cells = columns.map((column) => {
      const one = series.find(({ labels }) => labels[rowField] === name && labels[columnField] === column);
      const value = one?.values[0] ?? 0;
      const cell = element('td', '', format(value, defaultsOf(panel).unit));
      cell.style.background = `rgba(31, 96, 196, ${(0.8 * value) / most})`;
      return cell;
    });
    rowOf(element('th', '', name), ...cells);
  }
  box.append(made);
}

/** Paragraphs and lists of links, which is all the Markdown that there is. */
function words(box, panel) {
  const list = element('ul', '');
  for (const line of panel.options.content.split('\n').filter((text) => text !== '')) {
    const [, text] = /^\W*\[(.*)\]\(.*\)$/.exec(line) ?? [];
    if (text === undefined) {
      box.append(element('p', 'words', line.replaceAll(/[*`]/g, '')));
      continue;
    }
    const item = element('li', '');
    const link = element('a', '', text);
    link.href = '#';
    item.append(link);
    list.append(item);
  }
  box.append(list);
}

const DRAWERS = { timeseries, heatmap, bargauge, stat, table };

document.body.append(element('h1', '', DATA.board.title));
const chosen = Object.entries(DATA.board.variables).map(([name, value]) => `${name}: ${value}`);
document.body.append(element('div', 'variables', chosen.join(' · ') || 'all clusters and nodes'));
const grid = element('div', '');
grid.id = 'grid';
document.body.append(grid);
for (const drawn of DATA.board.panels) {
  const { panel, series } = drawn;
  const { x, y, w, h } = panel.gridPos;
  const box = element('div', panel.type === 'row' ? 'row' : 'panel');
  const width = w * COLUMN_PX - GAP_PX;
  const height = h * DATA.rowPx - GAP_PX;
  Object.assign(box.style, {
    left: `${x * COLUMN_PX + GAP_PX / 2}px`,
    top: `${y * DATA.rowPx}px`,
    width: `${width}px`,
    height: `${height}px`,
  });
  grid.append(box);
  if (panel.type === 'row') {
    box.textContent = panel.title;
    continue;
  }
  box.append(element('h2', '', panel.title));
  const isShown = (value) => value !== null && (panel.type !== 'heatmap' || value > 0);
  const hasNumbers = series.some(({ values }) => values.some(isShown));
  if (panel.type === 'text') words(box, panel);
  else if (!hasNumbers) box.append(element('div', 'empty', defaultsOf(panel).noValue));
  else DRAWERS[panel.type](box, panel, drawn, width - 18, height - 32);
}
