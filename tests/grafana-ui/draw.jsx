// Draws a dashboard with Grafana's own components. The page's `window.sheet` has the dashboard's JSON and, for each
// panel, the answers of Prometheus. State timelines, which are not in @grafana/ui, are drawn here.
import '@fontsource/inter/400.css';
import '@fontsource/inter/500.css';
import 'uplot/dist/uPlot.min.css';
import React from 'react';
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';
import {
  Registry,
  ThemeContext,
  applyFieldOverrides,
  createTheme,
  dateTime,
  getDisplayValueAlignmentFactors,
  getFieldDisplayName,
  getFieldDisplayValues,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, PanelChrome, Table, TimeSeries, VizRepeater } from '@grafana/ui';
import { framesOf } from './frames.js';

const COLUMNS = 24;
const CELL_HEIGHT = 30;
const MARGIN = 8;

const { dashboard, answers, from, to, width } = window.sheet;
const theme = createTheme({ colors: { mode: 'dark' } });
const timeZone = 'utc';
const timeRange = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: dateTime(from * 1000), to: dateTime(to * 1000) } };
const replaceVariables = text => text;

const option = (id, isCustom) => ({
  id: isCustom ? `custom.${id}` : id,
  path: id,
  name: id,
  isCustom,
  process: value => value,
  shouldApply: () => true,
});
standardFieldConfigEditorRegistry.setInit(() =>
  ['unit', 'decimals', 'min', 'max', 'noValue', 'mappings', 'thresholds', 'color', 'links'].map(id => option(id, false)),
);
standardTransformersRegistry.setInit(() =>
  [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map(transformation => ({
    id: transformation.id,
    name: transformation.name,
    transformation,
  })),
);

/** The options of a panel's fields: the standard ones, and those that the panel gives as `custom`. */
function registryOf({ fieldConfig }) {
  const custom = new Set(Object.keys(fieldConfig.defaults.custom ?? {}));
  for (const { properties } of fieldConfig.overrides) {
    for (const { id } of properties) if (id.startsWith('custom.')) custom.add(id.slice('custom.'.length));
  }
  return new Registry(() => [...standardFieldConfigEditorRegistry.list(), ...[...custom].map(id => option(id, true))]);
}

async function dataOf(panel) {
  const queries = answers[panel.id];
  const several = queries.filter(query => query.result.length).length > 1;
  const frames = queries.flatMap(query => framesOf(query, several));
  const data = await lastValueFrom(transformDataFrame(panel.transformations ?? [], frames));
  return applyFieldOverrides({
    data,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registryOf(panel),
    replaceVariables,
    theme,
    timeZone,
  });
}

const displays = (panel, data) => () =>
  getFieldDisplayValues({
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables,
    theme,
    data,
    timeZone,
  });

const Stat = ({ panel, data, width, height }) => (
  <VizRepeater
    getValues={displays(panel, data)}
    getAlignmentFactors={getDisplayValueAlignmentFactors}
    renderValue={({ value, width, height, alignmentFactors, count }) => (
      <BigValue
        value={value.display}
        count={count}
        colorMode={panel.options.colorMode}
        graphMode={panel.options.graphMode}
        justifyMode={panel.options.justifyMode}
        textMode={panel.options.textMode}
        alignmentFactors={alignmentFactors}
        width={width}
        height={height}
        theme={theme}
      />
    )}
    width={width}
    height={height}
    source={data}
    itemSpacing={3}
    autoGrid
    orientation="auto"
  />
);

const Bars = ({ panel, data, width, height }) => (
  <VizRepeater
    getValues={displays(panel, data)}
    getAlignmentFactors={getDisplayValueAlignmentFactors}
    renderValue={({ value, width, height, alignmentFactors }) => (
      <BarGauge
        value={value.display}
        field={value.field}
        display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
        orientation={panel.options.orientation}
        displayMode={panel.options.displayMode}
        valueDisplayMode={panel.options.valueMode}
        showUnfilled={panel.options.showUnfilled}
        alignmentFactors={alignmentFactors}
        width={width}
        height={height}
        theme={theme}
      />
    )}
    width={width}
    height={height}
    source={data}
    itemSpacing={8}
    orientation={panel.options.orientation}
    minVizHeight={panel.options.minVizHeight}
    minVizWidth={panel.options.minVizWidth}
    maxVizHeight={panel.options.maxVizHeight}
  />
);

const Rows = ({ panel, data, width, height }) => (
  <Table
    data={data[0]}
    width={width}
    height={height}
    cellHeight={panel.options.cellHeight}
    initialSortBy={panel.options.sortBy}
    columnMinWidth={70}
    ariaLabel={panel.title}
  />
);

const Curves = ({ panel, data, width, height }) => (
  <TimeSeries
    frames={data}
    timeRange={timeRange}
    timeZone={timeZone}
    width={width}
    height={height}
    legend={panel.options.legend}
    options={panel.options}
  />
);

/** An approximation of Grafana's state timeline: equal values in a row are one bar, gaps stay empty. */
function States({ data, width, height }) {
  const lanes = data.map(frame => ({ frame, time: frame.fields[0], field: frame.fields[1] }));
  const names = lanes.map(({ frame, field }) => getFieldDisplayName(field, frame, data));
  const left = 10 + 7.3 * Math.max(...names.map(name => name.length));
  const lane = Math.min(40, (height - 20) / lanes.length);
  const x = at => left + ((at / 1000 - from) / (to - from)) * (width - left);
  const ticks = [0, 0.25, 0.5, 0.75].map(part => from + part * (to - from));
  const text = { fontSize: 12, fill: theme.colors.text.primary };
  return (
    <svg width={width} height={height} fontFamily={theme.typography.fontFamily}>
      {lanes.flatMap(({ time, field }, index) => [
        <text key={`${index} name`} x={left - 8} y={(index + 0.6) * lane} textAnchor="end" {...text}>{names[index]}</text>,
        ...segments(time.values, field.values, time.config.interval).map(({ start, end, value }) => {
          const shown = field.display(value);
          const bar = { x: x(start), y: index * lane + 2, width: Math.max(1, x(end) - x(start)), height: lane - 4 };
          return (
            <g key={`${index} ${start}`}>
              <rect {...bar} fill={shown.color} fillOpacity={0.8} />
              {bar.width > 60 && lane > 13 && <text x={bar.x + 6} y={(index + 0.6) * lane} {...text} fill="#fff">{shown.text}</text>}
            </g>
          );
        }),
      ])}
      {ticks.map(tick => (
        <text key={tick} x={x(tick * 1000)} y={height - 4} {...text} fill={theme.colors.text.secondary}>
          {new Date(tick * 1000).toISOString().slice(11, 16)}
        </text>
      ))}
    </svg>
  );
}

function segments(times, values, interval) {
  const found = [];
  times.forEach((at, index) => {
    const latest = found.at(-1);
    if (latest && latest.value === values[index] && at - latest.end <= interval * 1.5) latest.end = at;
    else {
      if (latest && at - latest.end <= interval * 1.5) latest.end = at;
      found.push({ start: at, end: at, value: values[index] });
    }
  });
  return found;
}

const Nothing = ({ text, width, height }) => (
  <div style={{ width, height, display: 'grid', placeItems: 'center', textAlign: 'center', color: theme.colors.text.secondary }}>
    {text}
  </div>
);

const KINDS = { stat: Stat, bargauge: Bars, table: Rows, timeseries: Curves, 'state-timeline': States };

function Panel({ panel, data, style }) {
  const Kind = KINDS[panel.type];
  const empty = !data.some(frame => frame.length) && !['stat', 'bargauge'].includes(panel.type); // those have a tile for it
  return (
    <div style={style} data-panel={panel.title}>
      <PanelChrome title={panel.title} width={style.width} height={style.height} padding={panel.type === 'table' ? 'none' : 'md'}>
        {(width, height) =>
          empty ? (
            <Nothing text={panel.fieldConfig.defaults.noValue} {...{ width, height }} />
          ) : (
            <Kind {...{ panel, data, width, height }} />
          )
        }
      </PanelChrome>
    </div>
  );
}

function place({ x, y, w, h }) {
  const cell = (width - MARGIN) / COLUMNS;
  return {
    position: 'absolute',
    left: MARGIN + x * cell,
    top: MARGIN + y * (CELL_HEIGHT + MARGIN),
    width: w * cell - MARGIN,
    height: h * (CELL_HEIGHT + MARGIN) - MARGIN,
  };
}

function Heading({ panel, style }) {
  return <div style={{ ...style, fontSize: 16, fontWeight: 500, paddingTop: 4 }}>⌄ {panel.title}</div>;
}

function Sheet({ drawn }) {
  const height = Math.max(...drawn.map(({ panel }) => panel.gridPos.y + panel.gridPos.h)) * (CELL_HEIGHT + MARGIN);
  const variables = dashboard.templating.list.map(({ label, current }) => `${label}: ${current?.text?.[0] ?? 'Prometheus'}`);
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ padding: '12px 8px 0', background: theme.colors.background.canvas, width }}>
        <div style={{ fontSize: 20, fontWeight: 500 }}>{dashboard.title}</div>
        <div style={{ color: theme.colors.text.secondary, padding: '6px 0' }}>{variables.join('   ·   ')}</div>
      </div>
      <div style={{ position: 'relative', width, height: height + MARGIN, background: theme.colors.background.canvas }}>
        {drawn.map(({ panel, data }) =>
          data ? (
            <Panel key={panel.id} panel={panel} data={data} style={place(panel.gridPos)} />
          ) : (
            <Heading key={panel.id} panel={panel} style={place(panel.gridPos)} />
          ),
        )}
      </div>
    </ThemeContext.Provider>
  );
}

const drawn = await Promise.all(
  dashboard.panels.map(async panel => ({ panel, data: panel.type === 'row' ? null : await dataOf(panel) })),
);
createRoot(document.getElementById('root')).render(<Sheet drawn={drawn} />);
await document.fonts.ready;
setTimeout(() => { window.drawn = true; }, 1500); // the charts draw themselves one after the other
