/** Formats numbers and times for people. */

/** `850 ns`, `61.2 µs`, `5 ms`, `2.5 s`, from seconds. */
export function duration(seconds: number): string {
  const [value, unit] =
    seconds === 0
      ? [0, 's']
      : seconds < 1e-6
        ? [seconds * 1e9, 'ns']
        : seconds < 1e-3
          ? [seconds * 1e6, 'µs']
          : seconds < 1
            ? [seconds * 1e3, 'ms']
            : [seconds, 's'];
  return `${short(value)} ${unit}`;
}

/** Rounds to three significant digits, or from 1000 on to a whole number: `0.12`, `3.46`, `123`, `1,234`. */
export function short(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toLocaleString('en-US', { maximumSignificantDigits: 3 });
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `12`, `4,500`, `45 k`, `1.2 M`. */
export function compact(value: number): string {
  if (value >= 1e6) return `${short(value / 1e6)} M`;
  if (value >= 1e4) return `${short(value / 1e3)} k`;
  return short(value);
}

/** Formats a counter's increase per second. */
export function rate(value: number, unit: string): string {
  if (unit === 'seconds') return `${duration(value)}/s`;
  if (unit === 'bytes') return `${bytes(value)}/s`;
  return `${compact(value)}/s`;
}

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit++;
  }
  return `${short(rest)} ${units[unit]}`;
}

/** `42 %`, from a share between 0 and 1. A share above 0 is never shown as 0. */
export function share(part: number): string {
  const percent = part * 100;
  return percent > 0 && percent < 0.1 ? '< 0.1 %' : `${short(Number(percent.toPrecision(2)))} %`;
}

/** Formats a Unix time in ms as local time of day. For a recording, formats the time since its start. */
export function moment(ms: number, axis: 'time' | 'recording'): string {
  if (axis === 'recording') return `+${(ms / 1000).toFixed(3)} s`;
  return new Date(ms).toLocaleTimeString('en-GB');
}

/** Formats an ISO time as local date and time, with milliseconds. */
export function when(iso: string): string {
  const date = new Date(iso);
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${date.toLocaleDateString('en-CA')} ${date.toLocaleTimeString('en-GB')}.${ms}`;
}
