/** Builds a dashboard: its variables, its rows of panels, and links to the other dashboards, found by their tag. */
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  TextBoxVariableBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { type AnyPanel, DATASOURCE } from './panels.ts';

const TAG = 'ftrace-exporter';
const PORT = '10743';
/** Matches series without the label too, such as those of a Prometheus that names no cluster. */
const ALL = '.*';

/** A variable whose choices are the values of a label. */
export interface Choice {
  name: string;
  label: string;
  /** Selector of series that have the label. */
  of: string;
  /** One choice at a time: showing all would query every series of a fleet. */
  single?: boolean;
}

export interface Row {
  title: string;
  panels: readonly AnyPanel[];
}

export interface Board {
  uid: string;
  title: string;
  description: string;
  choices: readonly Choice[];
  /** Whether panels link to the agent: its port can then be changed. */
  linksToAgent?: boolean;
  rows: readonly Row[];
}

export const CLUSTER: Choice = { name: 'cluster', label: 'cluster', of: 'ftrace_exporter_build_info' };
export const NODE: Choice = {
  name: 'node',
  label: 'instance',
  of: 'ftrace_exporter_build_info{cluster=~"$cluster"}',
};
export const ONE_NODE: Choice = { ...NODE, single: true };

export function dashboard({ uid, title, description, choices, linksToAgent, rows }: Board): Dashboard {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .time({ from: 'now-1h', to: 'now' })
    .timezone('browser')
    .refresh('30s')
    .editable()
    .tooltip(DashboardCursorSync.Crosshair)
    .withVariable(new DatasourceVariableBuilder('datasource').label('Datasource').type('prometheus'));
  for (const choice of choices) builder.withVariable(variable(choice));
  if (linksToAgent)
    builder.withVariable(new TextBoxVariableBuilder('port').label('Agent’s port').defaultValue(PORT));
  builder.link(
    new DashboardLinkBuilder('ftrace-exporter')
      .type(DashboardLinkType.Dashboards)
      .tags([TAG])
      .asDropdown(false)
      .includeVars(true)
      .keepTime(true),
  );
  for (const { title: name, panels } of rows) {
    builder.withRow(new RowBuilder(name));
    for (const panel of panels) builder.withPanel(panel);
  }
  return finished(builder.build());
}

/** Adds what the builder lacks: ids, which links to panels need, and links at the top. */
function finished(built: Dashboard): Dashboard {
  let id = 0;
  for (const panel of built.panels ?? []) panel.id = ++id;
  for (const link of built.links ?? []) delete link.placement;
  return built;
}

function variable({ name, label, of: metric, single }: Choice): QueryVariableBuilder {
  const query = `label_values(${metric}, ${label})`;
  const builder = new QueryVariableBuilder(name)
    .label(name[0].toUpperCase() + name.slice(1))
    .datasource(DATASOURCE)
    .query({ qryType: 1, query, refId: name })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.NaturalAsc)
    .multi(single !== true)
    .includeAll(single !== true);
  if (single) return builder;
  return builder.allValue(ALL).current({ selected: true, text: ['All'], value: ['$__all'] });
}
