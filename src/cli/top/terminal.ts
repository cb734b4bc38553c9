/** Switches the terminal to full-screen mode, and restores it however the program ends. */

export interface Terminal {
  size(): { columns: number; rows: number };
  draw(lines: readonly string[]): void;
  /** Gives the terminal back. Can be called twice. */
  restore(): void;
}

/** Alternate screen, no cursor, no line wrap. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';

export function openTerminal(onKey: (key: string) => void, onResize: () => void): Terminal {
  const { stdin, stdout } = process;
  let restored = false;
  stdout.write(ENTER);
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  const keys = (text: string) => {
    for (const key of splitKeys(text)) onKey(key);
  };
  stdin.on('data', keys);
  stdin.resume();
  stdout.on('resize', onResize);
  const restore = () => {
    if (restored) return;
    restored = true;
    stdin.off('data', keys);
    stdout.off('resize', onResize);
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
    stdout.write(LEAVE);
  };
  process.once('exit', restore);
  return {
    size: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
    draw: (lines) => {
      // Cleared before its text: behind it, the last column of a full line would be cleared as well.
      if (!restored) stdout.write(`\x1b[H${lines.map((line) => `\x1b[2K${line}`).join('\r\n')}`);
    },
    restore,
  };
}

/** Several keys can arrive at once; an escape sequence is one key. */
function splitKeys(text: string): string[] {
  return text.match(/\x1b\[[\d;]*[A-Za-z~]|[\s\S]/gu) ?? [];
}
