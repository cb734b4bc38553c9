/**
 * What all dashboards' panels have in common: a title, a description, a unit and PromQL in, a panel out. Times are seconds;
 * queries are of the datasource that the variable `datasource` names.
 */
import { PanelBuilder as BarGaugeBuilder } from '@grafana/grafana-foundation-sdk/bargauge';
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import {
  BarGaugeDisplayMode,
  BigValueGraphMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  ScaleDistribution,
  ScaleDistributionConfigBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardLinkBuilder,
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
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

export const DATASOURCE = { type: 'prometheus', uid: '$datasource' };
/** Series of the nodes that are chosen. */
export const CHOSEN = 'cluster=~"$cluster",instance=~"$node"';

const HEIGHT = 8;

export interface Query {
  expr: string;
  /** With `{{label}}`. */
  legend: string;
}

interface Look {
  title: string;
  description: string;
  unit: string;
  /** Of 24 columns. */
  width?: number;
}

export interface Lines extends Look {
  queries: readonly Query[];
  stacked?: boolean;
  /** Of logarithmic axes; latencies differ by orders of magnitude. */
  log?: boolean;
  max?: number;
}

export type AnyPanel = Builder<Panel>;

/** Series over time, the highest first in the legend. */
export function lines({ title, description, unit, width = 12, queries, stacked, log, max }: Lines): AnyPanel {
  const panel = new TimeseriesBuilder()
    .title(title)
    .description(description)
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
        .showLegend(true),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .targets(queries.map(range));
  if (stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  if (log) panel.scaleDistribution(new ScaleDistributionConfigBuilder().type(ScaleDistribution.Log).log(10));
  if (max !== undefined) panel.max(max);
  return panel;
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
    .height(HEIGHT)
    .span(look.width ?? 12)
    .calculate(false)
    .color(new HeatmapColorOptionsBuilder().mode(HeatmapColorMode.Scheme).scheme('Oranges').exponent(0.5))
    .yAxis(new YAxisConfigBuilder().unit(look.unit))
    .targets([
      range({ expr, legend: '{{le}}' }, 0).format(PromQueryFormat.Heatmap) as unknown as Builder<Dataquery>,
    ]);
}

/** The first of many now: bars, each a link to the node's dashboard where that is what they are of. */
export function bars(look: Look & { query: Query; toNode?: boolean }): AnyPanel {
  const panel = new BarGaugeBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(DATASOURCE)
    .unit(look.unit)
    .min(0)
    .height(HEIGHT)
    .span(look.width ?? 12)
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Gradient)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false))
    .targets([instant(look.query)]);
  if (look.toNode) {
    const url =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in
      '/d/ftrace-node?${datasource:queryparam}&${cluster:queryparam}&var-node=${__field.labels.instance}&${__url_time_range}';
    panel.dataLinks([new DashboardLinkBuilder('This node').url(url)]);
  }
  return panel;
}

/** One number; from `bad` on it is red. */
export function stat(look: Look & { query: Query; bad?: number }): AnyPanel {
  const steps = [
    { value: null, color: 'green' },
    ...(look.bad === undefined ? [] : [{ value: look.bad, color: 'red' }]),
  ];
  return new StatBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(DATASOURCE)
    .unit(look.unit)
    .height(4)
    .span(look.width ?? 4)
    .graphMode(BigValueGraphMode.Area)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false))
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps))
    .targets([range(look.query, 0)]);
}

/** A quantile of classic buckets, by what is in `by`. */
export function quantile(q: number, metric: string, selector: string, ...by: string[]): string {
  const labels = ['le', ...by].join(', ');
  return `histogram_quantile(${q}, sum by (${labels}) (rate(${metric}_bucket{${selector}}[$__rate_interval])))`;
}

function range({ expr, legend }: Query, index: number): DataqueryBuilder {
  return target(expr, legend)
    .refId(String.fromCharCode('A'.charCodeAt(0) + index))
    .range();
}

function instant({ expr, legend }: Query): DataqueryBuilder {
  return target(expr, legend).refId('A').instant();
}

/** With exemplars, so that a slow operation's trace is a click away. */
function target(expr: string, legend: string): DataqueryBuilder {
  return new DataqueryBuilder().datasource(DATASOURCE).expr(expr).legendFormat(legend).exemplar(true);
}
