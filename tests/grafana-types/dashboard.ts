// What a stored dashboard of ours may contain. The parts are Grafana's own types, put together here because Grafana
// leaves the options of a panel, its queries and the values of overrides open (`Record<string, unknown>`).
import type * as v13 from '@grafana/schema';
import type { Options as BarGaugeOptions } from
  '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type { FieldConfig as StateTimelineField, Options as StateTimelineOptions } from
  '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type { Options as StatOptions } from
  '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as TableOptions } from
  '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as TimeSeriesOptions } from
  '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type * as v10 from 'grafana-schema-10';
import type { PrometheusDataQuery } from
  'grafana-schema-10/dist/esm/raw/composable/prometheus/dataquery/x/PrometheusDataQuery_types.gen';

/** JSON has no enums: where the types want a member of one, its value stands. */
type Stored<T> = T extends string
  ? `${T}`
  : T extends number
    ? `${T}` extends `${infer N extends number}` ? N : never
    : T extends readonly (infer Item)[]
      ? readonly Stored<Item>[]
      : T extends object
        ? { readonly [Key in keyof T]: Stored<T[Key]> }
        : T;

/** An override: the properties of a field, and those of the panel's kind as `custom.…`. */
type Override<Custom> = {
  matcher: { id: 'byName'; options: string };
  properties: Array<
    | { [Key in keyof v13.FieldConfig]-?: { id: Key; value: NonNullable<v13.FieldConfig[Key]> } }[Exclude<keyof v13.FieldConfig, 'custom'>]
    | { [Key in keyof Custom & string]-?: { id: `custom.${Key}`; value: NonNullable<Custom[Key]> } }[keyof Custom & string]
  >;
};

type PanelOf<Kind extends string, Options, Custom> = Omit<v13.Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Kind;
  id: number;
  title: string;
  description: string;
  gridPos: v13.GridPos;
  datasource: v13.DataSourceRef;
  targets: PrometheusDataQuery[];
  options: Options;
  fieldConfig: {
    defaults: Omit<v13.FieldConfig, 'custom'> & { custom?: Partial<Custom> };
    overrides: Override<Custom>[];
  };
};

type Panel =
  | PanelOf<'stat', StatOptions, {}>
  | PanelOf<'bargauge', BarGaugeOptions, {}>
  | PanelOf<'table', TableOptions, v13.TableFieldOptions>
  | PanelOf<'state-timeline', StateTimelineOptions, StateTimelineField & { spanNulls: boolean; insertNulls: boolean }>
  | PanelOf<'timeseries', TimeSeriesOptions, v13.GraphFieldConfig>;

/** What Grafana 10 reads of an annotation on Prometheus stands beside what later versions read. */
type Annotation = v13.AnnotationQuery & {
  target: PrometheusDataQuery & { interval: string };
  expr: string;
  step: string;
  titleFormat: string;
  textFormat: string;
  tagKeys: string;
  useValueForTime: boolean;
};

/** With every key known: what is misspelt, or of no meaning to Grafana 13, does not compile. */
export type Newest = Stored<
  Omit<v13.Dashboard, 'panels' | 'annotations'> & {
    panels: Array<Panel | v13.RowPanel>;
    annotations: { list: Annotation[] };
  }
>;

/** To Grafana 10 keys may be unknown, which it ignores. */
export type Oldest = Stored<v10.Dashboard>;
