/** Colours for any colour vision: viridis (van der Walt and Smith, CC0) for counts, Okabe and Ito's for lines. */

/** Viridis in steps of 1/8, from dark to light, as RGB. */
const STOPS = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
] as const;

export const LINES = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8f7a00', '#7f7f7f'];

export function isDark(): boolean {
  return matchMedia('(prefers-color-scheme: dark)').matches;
}

function viridis(at: number): string {
  const position = Math.min(Math.max(at, 0), 1) * (STOPS.length - 1);
  const i = Math.min(Math.floor(position), STOPS.length - 2);
  const part = position - i;
  const [r, g, b] = STOPS[i].map((value, c) => Math.round(value + (STOPS[i + 1][c] - value) * part));
  return `rgb(${r},${g},${b})`;
}

/** Returns 64 colours, from low to high counts. Colours for higher counts contrast more with the background. */
export function countColours(): string[] {
  const dark = isDark();
  return Array.from({ length: 64 }, (_, i) =>
    viridis(dark ? 0.12 + (0.88 * i) / 63 : 0.95 - (0.95 * i) / 63),
  );
}

/** Returns the value of a colour variable in the style sheet. */
export function cssColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
