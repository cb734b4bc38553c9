/** Switches the terminal to full-screen mode, and restores it when the program ends, even after an error. */

export interface Terminal {
  size(): { columns: number; rows: number };
  draw(lines: readonly string[]): void;
  /** Restores the terminal. A second call does nothing. */
  restore(): void;
}

/** Switches to the alternate screen, hides the cursor, and turns off line wrapping. */
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
      // Clear each line before writing it, because the old line may be longer than the new one.
      if (!restored) stdout.write(`\x1b[H${lines.map((line) => `\x1b[2K${line}`).join('\r\n')}`);
    },
    restore,
  };
}

/** Splits input into keys. Several keys can arrive together; an escape sequence is one key. */
function splitKeys(text: string): string[] {
  return text.match(/\x1b\[[\d;]*[A-Za-z~]|[\s\S]/gu) ?? [];
}
