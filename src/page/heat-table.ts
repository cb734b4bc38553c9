/** Shows the numbers of a heat map's newest columns in a table. */

import { boundsOf } from './buckets.ts';
import { table } from './dom.ts';
import { count, duration, moment } from './format.ts';
import type { HeatColumns, HeatData } from './heat-data.ts';

const ROWS = 60;

export function heatTable(details: HTMLElement, data: HeatData, columns: HeatColumns, noun: string): void {
  const rows = data.times
    .map((end, i) => {
      const counts = columns.counts[i];
      const at = { text: moment(end, data.axis) };
      if (counts === undefined) return [at, { text: 'gap' }, { text: '' }, { text: '' }, { text: '' }];
      const highest = counts.findLastIndex((one) => one > 0);
      const [, upper] = boundsOf(columns.rows.first + highest, columns.rows.width);
      const number = (text: string) => ({ text, number: true });
      const line = (value: number | null) => number(value === null ? '–' : duration(value));
      return [
        at,
        number(count(counts.reduce((sum, one) => sum + one, 0))),
        line(columns.p50[i]),
        line(columns.p99[i]),
        number(highest < 0 ? '–' : duration(upper)),
      ];
    })
    .reverse()
    .slice(0, ROWS);
  const head = ['Until', noun, 'p50', 'p99', 'At most'].map((text, i) => ({ text, number: i > 0 }));
  details.querySelector('.scroll')?.remove();
  details.append(table(`Newest ${ROWS} columns`, head, rows));
}
