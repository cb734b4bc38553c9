/**
 * Makes panels for all dashboards from a title, a description, a unit and PromQL. Times are in seconds. Queries use the
 * datasource of the variable `datasource`.
 */
import { PanelBuilder as BarGaugeBuilder } from '@grafana/grafana-foundation-sdk/bargauge';
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import {
  BarGaugeDisplayMode,
  BigValueGraphMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  ScaleDistribution,
  ScaleDistributionConfigBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TableCellBackgroundDisplayMode,
  TableCellDisplayMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardLinkBuilder,
  FieldColorBuilder,
  FieldColorModeId,
  type Panel,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard';
import {
  PanelBuilder as HeatmapBuilder,
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TextBuilder, TextMode } from '@grafana/grafana-foundation-sdk/text';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

export const DATASOURCE = { type: 'prometheus', uid: '$datasource' };
/** Series of the chosen nodes. */
export const CHOSEN = 'cluster=~"$cluster",instance=~"$node"';

/** Seconds per second, with a prefix that fits: `120 ms/s`. */
export const SECONDS_PER_SECOND = 'si:s/s';

const HEIGHT = 8;
/** Smaller than any rate of events. */
const ABOVE_ZERO = 1e-9;
const DEFAULT_PROBES = ['sched', 'block', 'irq', 'softirq'];
/** Address of the agent, if the browser can reach its port. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in
export const AGENT_URL = 'http://${node}:${port}';

export interface Query {
  expr: string;
  /** Can contain `{{label}}`. */
  legend: string;
}

interface Look {
  title: string;
  description: string;
  unit: string;
  /** Of 24 columns. */
  width?: number;
  /** The probe that the panel needs, or the words that it shows if it is empty. */
  needs?: string | { words: string };
  levels?: AnyLevels;
}

/** Values from which a panel is orange and red: the thresholds of the alert, if there is one. */
export interface Levels {
  warning?: number;
  bad: number;
}

/** For values that are 1 if all is well, else 0. */
export const SHOULD_BE_ONE = { good: 1 };
type AnyLevels = Levels | typeof SHOULD_BE_ONE;

/** For counts that should be 0. */
export const SHOULD_BE_ZERO: Levels = { bad: ABOVE_ZERO };

export interface Lines extends Look {
  queries: readonly Query[];
  stacked?: boolean;
  /** Whether the axis is logarithmic: latencies differ by orders of magnitude. */
  log?: boolean;
  max?: number;
  /** Whether the axis includes the level however far away it is, as for budgets. */
  isLevelInView?: boolean;
}

export type AnyPanel = Builder<Panel>;

/** Series over time, the highest first in the legend. */
export function lines(look: Lines): AnyPanel {
  const { title, description, unit, width = 12, queries, stacked, log, max, levels, isLevelInView } = look;
  const panel = new TimeseriesBuilder()
    .title(title)
    .description(description)
    .noValue(whenEmpty(look))
    .thresholds(thresholds(levels))
    .datasource(DATASOURCE)
    .unit(unit)
    .min(0)
    .height(HEIGHT)
    .span(width)
    .lineWidth(1)
    .fillOpacity(stacked ? 30 : 5)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .calcs(['lastNotNull', 'max'])
        .sortBy('Max')
        .sortDesc(true)
        .showLegend(true),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .targets(queries.map(range));
  if (stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  if (log) panel.scaleDistribution(new ScaleDistributionConfigBuilder().type(ScaleDistribution.Log).log(10));
  if (max !== undefined) panel.max(max);
  if (levels === undefined) return panel;
  if (levels === SHOULD_BE_ZERO || 'good' in levels)
    return panel.colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds));
  panel.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed));
  if (isLevelInView) panel.axisSoftMax(levels.bad * 1.1);
  return panel;
}

function whenEmpty({ needs }: Look): string {
  if (needs === undefined) return 'No data: is the agent scraped?';
  if (typeof needs === 'object') return needs.words;
  if (DEFAULT_PROBES.includes(needs)) return `No data: the probe ${needs} is off, or had nothing to count`;
  return `No data: needs the probe ${needs} in the agent’s config`;
}

function thresholds(levels?: AnyLevels): ThresholdsConfigBuilder {
  const builder = new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute);
  if (levels !== undefined && 'good' in levels) {
    const { good } = levels;
    return builder.steps([
      { value: null, color: 'red' },
      { value: good, color: 'green' },
    ]);
  }
  const steps = [
    { value: null, color: 'green' },
    ...(levels?.warning === undefined ? [] : [{ value: levels.warning, color: 'orange' }]),
    ...(levels === undefined ? [] : [{ value: levels.bad, color: 'red' }]),
  ];
  return builder.steps(steps);
}

/** A panel of text and links. */
export function text(look: {
  title: string;
  description: string;
  content: string;
  width?: number;
}): AnyPanel {
  return new TextBuilder()
    .title(look.title)
    .description(look.description)
    .height(HEIGHT)
    .span(look.width ?? 12)
    .mode(TextMode.Markdown)
    .content(look.content);
}

/** Buckets of a classic histogram over time. `selector` goes between the braces. */
export function heatmap(look: Look & ({ metric: string; selector: string } | { expr: string })): AnyPanel {
  const expr =
    'expr' in look
      ? look.expr
      : `sum by (le) (increase(${look.metric}_bucket{${look.selector}}[$__rate_interval]))`;
  return new HeatmapBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(DATASOURCE)
    .unit('short')
    .noValue(whenEmpty(look))
    .height(HEIGHT)
    .span(look.width ?? 12)
    .calculate(false)
    .color(new HeatmapColorOptionsBuilder().mode(HeatmapColorMode.Scheme).scheme('Oranges').exponent(0.5))
    .yAxis(new YAxisConfigBuilder().unit(look.unit))
    .targets([
      range({ expr, legend: '{{le}}' }, 0).format(PromQueryFormat.Heatmap) as unknown as Builder<Dataquery>,
    ]);
}

/** The highest current values as bars. Each links to the node's dashboard or to the agent. */
export function bars(
  look: Look & { queries: readonly Query[]; linkTo?: 'node' | 'agent'; max?: number },
): AnyPanel {
  const panel = new BarGaugeBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(DATASOURCE)
    .unit(look.unit)
    .noValue(whenEmpty(look))
    .thresholds(thresholds(look.levels))
    .min(0)
    .height(HEIGHT)
    .span(look.width ?? 12)
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Gradient)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false))
    .targets(look.queries.map(instant));
  if (look.max !== undefined) panel.max(look.max);
  if (look.linkTo === 'agent') {
    const slow = new DashboardLinkBuilder('Slow operations of this node').url(
      `${AGENT_URL}/api/v1/slow?limit=20`,
    );
    panel.dataLinks([slow.targetBlank(true)]);
  }
  if (look.linkTo === 'node') {
    const url =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in
      '/d/ftrace-node?${datasource:queryparam}&${cluster:queryparam}&var-node=${__field.labels.instance}&${__url_time_range}';
    panel.dataLinks([new DashboardLinkBuilder('This node').url(url)]);
  }
  return panel;
}

/** The values of an instant query as a table of rows and columns, which are labels. Larger values are darker. */
export function matrix(look: Look & { expr: string; rows: string; columns: string }): AnyPanel {
  return new TableBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(DATASOURCE)
    .unit(look.unit)
    .noValue(whenEmpty(look))
    .thresholds(thresholds())
    .height(HEIGHT)
    .span(look.width ?? 12)
    .min(0)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.ContinuousBlues))
    .cellOptions({ type: TableCellDisplayMode.ColorBackground, mode: TableCellBackgroundDisplayMode.Basic })
    .withTransformation({
      id: 'groupingToMatrix',
      options: { rowField: look.rows, columnField: look.columns, valueField: 'Value', emptyValue: 'zero' },
    })
    .targets([
      instant({ expr: look.expr, legend: '' }, 0).format(
        PromQueryFormat.Table,
      ) as unknown as Builder<Dataquery>,
    ]);
}

/** One number, coloured by its levels. */
export function stat(look: Look & { query: Query }): AnyPanel {
  return new StatBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(DATASOURCE)
    .unit(look.unit)
    .height(4)
    .span(look.width ?? 4)
    .graphMode(BigValueGraphMode.Area)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false))
    .noValue(whenEmpty(look))
    .thresholds(thresholds(look.levels))
    .targets([range(look.query, 0)]);
}

/** A quantile from classic buckets, by the labels in `by`. */
export function quantile(q: number, metric: string, selector: string, ...by: string[]): string {
  const labels = ['le', ...by].join(', ');
  return `histogram_quantile(${q}, sum by (${labels}) (rate(${metric}_bucket{${selector}}[$__rate_interval])))`;
}

const refId = (index: number) => String.fromCharCode('A'.charCodeAt(0) + index);

function range({ expr, legend }: Query, index: number): DataqueryBuilder {
  return target(expr, legend).refId(refId(index)).range();
}

function instant({ expr, legend }: Query, index: number): DataqueryBuilder {
  return target(expr, legend).refId(refId(index)).instant();
}

/** Makes a query that also returns exemplars, so that users can open the trace of a slow operation. */
function target(expr: string, legend: string): DataqueryBuilder {
  return new DataqueryBuilder().datasource(DATASOURCE).expr(expr).legendFormat(legend).exemplar(true);
}
