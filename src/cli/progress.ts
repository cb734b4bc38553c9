/** A progress bar on a terminal: one line on standard error, erased at the end. */

const WIDTH = 30;
const EVERY_MS = 100;

export interface Progress {
  (done: number, total: number): void;
  /** Erases the line. */
  end(): void;
}

/** Makes a progress bar. It shows nothing if `terminal` is not a TTY. */
export function progressBar(
  label: string,
  terminal: { isTTY?: boolean; write(text: string): unknown },
  now: () => number = () => performance.now(),
): Progress {
  let next = now() + EVERY_MS;
  let shown = false;
  const show = (done: number, total: number): void => {
    if (terminal.isTTY !== true || now() < next) return;
    next = now() + EVERY_MS;
    shown = true;
    const share = total > 0 ? Math.min(1, done / total) : 1;
    const bar = '#'.repeat(Math.floor(share * WIDTH)).padEnd(WIDTH, '.');
    terminal.write(`\r${label} [${bar}] ${Math.floor(share * 100)} %`);
  };
  const end = (): void => {
    if (shown) terminal.write('\r\x1b[K');
    shown = false;
  };
  return Object.assign(show, { end });
}
