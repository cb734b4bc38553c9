/** `top`: shows the latencies that a running agent measures, from the agent's HTTP API. `top` itself traces nothing. */
import { reasonOf, UsageError } from '../../model/errors.ts';
import { onEndSignals } from '../ending.ts';
import { print } from '../output.ts';
import { type Client, makeClient } from './client.ts';
import { readDocument, type TopDocument } from './document.ts';
import { OTHER_LINES, renderScreen, renderText } from './screen.ts';
import { firstState, pressKey, type TopState } from './state.ts';
import { openTerminal } from './terminal.ts';

export interface TopOptions {
  once?: boolean;
  output?: string;
}

const EVERY_MS = 2000;
/** Width of the text in characters if the output is not a terminal. */
const TEXT_COLUMNS = 100;

export async function top(url: string, { once = false, output = 'text' }: TopOptions): Promise<void> {
  const client = makeClient(url);
  if (!once && output !== 'text') throw new UsageError('--output json requires --once');
  if (once) {
    const document = await readDocument(client);
    const columns = process.stdout.columns ?? TEXT_COLUMNS;
    print(
      output === 'json'
        ? JSON.stringify(document, undefined, 2)
        : renderText(document, firstState(), columns),
    );
    return;
  }
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new UsageError('top requires a terminal; use --once to print its tables once');
  // Read the first document before the screen changes, so that an error, such as a wrong URL, is printed normally.
  await run(client, await readDocument(client));
}

function run(client: Client, first: TopDocument): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let document = first;
  let problem = '';
  let state: TopState = firstState();
  const colour = !process.env.NO_COLOR;
  const draw = () => terminal.draw(renderScreen(document, state, { ...terminal.size(), colour, problem }));
  const end = () => {
    clearInterval(timer);
    release();
    terminal.restore();
    resolve();
  };
  const onKey = (key: string) => {
    const next = pressKey(state, key, Math.max(1, terminal.size().rows - OTHER_LINES));
    if (next === 'quit') {
      end();
      return;
    }
    state = next;
    draw();
  };
  let asking = false;
  const refresh = async () => {
    if (asking || state.paused) return;
    asking = true;
    try {
      document = await readDocument(client);
      problem = '';
    } catch (error) {
      problem = reasonOf(error);
    } finally {
      asking = false;
    }
    if (!state.paused) draw();
  };
  const terminal = openTerminal(onKey, draw);
  const release = onEndSignals(['SIGTERM', 'SIGINT', 'SIGHUP'], { first: end });
  const timer = setInterval(() => void refresh(), EVERY_MS);
  draw();
  return promise;
}
