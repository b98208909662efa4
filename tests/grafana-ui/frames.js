// Turns Prometheus's answers into data frames, as Grafana's data source does.
import { FieldType, toDataFrame } from '@grafana/data';

const number = text => (text === undefined ? null : Number(text.replace('Inf', 'Infinity')));

/** The frames of a query: a table, or a frame for each series. */
export function framesOf({ refId, legend, format, step, result }, several) {
  if (format === 'table') return result.length ? [tableFrame(refId, result, several)] : [];
  return result.map(series => seriesFrame(refId, legend, step, series));
}

function seriesFrame(refId, legend, step, { metric, value, values }) {
  const samples = values ?? [value];
  const name = legend ? legend.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '').trim() : undefined;
  return toDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: samples.map(([at]) => at * 1000), config: { interval: step * 1000 } },
      {
        name: 'Value',
        type: FieldType.number,
        values: samples.map(([, text]) => number(text)),
        labels: metric,
        config: { displayNameFromDS: name },
      },
    ],
  });
}

function tableFrame(refId, result, several) {
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return toDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: result.map(({ value }) => value[0] * 1000) },
      ...labels.map(name => ({ name, type: FieldType.string, values: result.map(({ metric }) => metric[name] ?? '') })),
      {
        name: several ? `Value #${refId}` : 'Value',
        type: FieldType.number,
        values: result.map(({ value }) => number(value[1])),
      },
    ],
  });
}
