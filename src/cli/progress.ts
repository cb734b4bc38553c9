/** A progress bar on a terminal: done and total in, one line on standard error out, wiped at the end. */

const WIDTH = 30;
const EVERY_MS = 100;

export interface Progress {
  (done: number, of: number): void;
  /** Wipes the line. */
  end(): void;
}

/** Where `terminal` is none, nothing is written. */
export function progressBar(
  label: string,
  terminal: { isTTY?: boolean; write(text: string): unknown },
  now: () => number = () => performance.now(),
): Progress {
  let next = now() + EVERY_MS;
  let shown = false;
  const show = (done: number, of: number): void => {
    if (terminal.isTTY !== true || now() < next) return;
    next = now() + EVERY_MS;
    shown = true;
    const share = of > 0 ? Math.min(1, done / of) : 1;
    const bar = '#'.repeat(Math.floor(share * WIDTH)).padEnd(WIDTH, '.');
    terminal.write(`\r${label} [${bar}] ${Math.floor(share * 100)} %`);
  };
  const end = (): void => {
    if (shown) terminal.write('\r\x1b[K');
    shown = false;
  };
  return Object.assign(show, { end });
}
