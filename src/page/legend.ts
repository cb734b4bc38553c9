/** Explains the colours and lines of all heat maps. */
import { el } from './dom.ts';
import { countColours } from './palette.ts';

const WIDTH = 96;

export function legend(): HTMLElement {
  const bar = el('canvas', { width: WIDTH, height: 10, 'aria-hidden': 'true', class: 'scale' });
  const pen = bar.getContext('2d');
  const colours = countColours();
  colours.forEach((colour, i) => {
    if (pen === null) return;
    pen.fillStyle = colour;
    pen.fillRect((i * WIDTH) / colours.length, 0, WIDTH / colours.length + 1, 10);
  });
  return el(
    'p',
    { class: 'legend muted' },
    el('span', {}, 'Count per cell: few ', bar, ' many'),
    el('span', {}, el('i', { class: 'dashes' }), ' median'),
    el('span', {}, el('i', { class: 'solid' }), ' 99th percentile'),
    el('span', {}, el('i', { class: 'hatch' }), ' gap, or agent not ready'),
  );
}
