/**
 * A dashboard's panels with what a Prometheus answers to their queries: what Grafana would draw, as data for page.js. The
 * variables are filled in as Grafana does it.
 */
import { readFileSync } from 'node:fs';

export interface Span {
  /** Unix seconds. */
  start: number;
  end: number;
  stepSeconds: number;
}

export interface Series {
  name: string;
  /** Bound of a heatmap's bucket, as Prometheus writes it. */
  le: string;
  labels: Readonly<Record<string, string>>;
  /** By step; null where there is none. Of instant queries one. */
  values: (number | null)[];
}

export interface Drawn {
  panel: Panel;
  series: Series[];
  times: number[];
}

export interface Panel {
  gridPos: { y: number; h: number };
  type: string;
  title: string;
  targets?: { expr: string; legendFormat?: string; instant?: boolean }[];
}

interface Answer {
  status: string;
  error?: string;
  data: {
    result: { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[];
  };
}

export async function draw(
  file: URL,
  prometheus: string,
  variables: Readonly<Record<string, string>>,
  span: Span,
): Promise<{ title: string; variables: Readonly<Record<string, string>>; panels: Drawn[] }> {
  const { title, panels } = JSON.parse(readFileSync(file, 'utf8')) as { title: string; panels: Panel[] };
  const times: number[] = [];
  for (let time = span.start; time <= span.end; time += span.stepSeconds) times.push(time);
  const drawn: Drawn[] = [];
  for (const panel of panels) {
    const series: Series[] = [];
    for (const { expr, legendFormat = '', instant } of panel.targets ?? []) {
      const query = filledIn(expr, variables);
      const answer = instant
        ? await ask(prometheus, 'query', { query, time: String(span.end) })
        : await ask(prometheus, 'query_range', {
            query,
            start: String(span.start),
            end: String(span.end),
            step: String(span.stepSeconds),
          });
      for (const { metric, value, values } of answer.data.result) {
        const at = new Map((values ?? []).map(([time, text]) => [Math.round(time), numberOf(text)]));
        const name = legendFormat
          .replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => metric[label] ?? '')
          .trim();
        const numbers =
          value === undefined ? times.map((time) => at.get(Math.round(time)) ?? null) : [numberOf(value[1])];
        series.push({ name, le: metric.le ?? '', labels: metric, values: numbers });
      }
    }
    drawn.push({ panel, series, times });
  }
  return { title, variables, panels: drawn };
}

/** `rate` is `$__rate_interval`: a minute is long enough for the scrape interval that these pictures are made with. */
function filledIn(expr: string, variables: Readonly<Record<string, string>>): string {
  return expr
    .replaceAll('$__rate_interval', variables.rate ?? '1m')
    .replaceAll(/"\$(\w+)"/g, (_, name) => `"${variables[name] ?? '.*'}"`);
}

function numberOf(text: string): number | null {
  const number = Number(text);
  return Number.isFinite(number) ? number : null;
}

async function ask(prometheus: string, path: string, parameters: Record<string, string>): Promise<Answer> {
  const answer = await fetch(`${prometheus}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const body = (await answer.json()) as Answer;
  if (body.status !== 'success') throw new Error(`${parameters.query}: ${body.error}`);
  return body;
}
