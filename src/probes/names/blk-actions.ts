/**
 * Actions by number: the letters that the blk tracer writes (`what2act` in kernel/trace/blktrace.c), and the name in
 * blkparse(1).
 */
const ACTIONS: readonly (readonly [letters: string, word: string])[] = [
  ['Q', 'queued'],
  ['M', 'backmerged'],
  ['F', 'frontmerged'],
  ['G', 'got_request'],
  ['S', 'slept'],
  ['R', 'requeued'],
  ['D', 'issued'],
  ['C', 'completed'],
  ['P', 'plugged'],
  ['U', 'unplugged'],
  ['UT', 'unplugged_by_timer'],
  ['I', 'inserted'],
  ['X', 'split'],
  ['B', 'bounced'],
  ['A', 'remapped'],
];

/** Label values by action number. The last is for letters that later kernels may write. */
export const ACTION_WORDS: readonly string[] = [...ACTIONS.map(([, word]) => word), 'other'];
export const QUEUED_ACTION = 0;
export const BACKMERGED = 1;
export const FRONTMERGED = 2;
export const REQUEUED = 5;
export const ISSUED_ACTION = 6;
export const COMPLETED = 7;
const OTHER = ACTIONS.length;

/** Action number by character code. */
const BY_LETTER = new Uint8Array(256).fill(OTHER);
for (let i = 0; i < ACTIONS.length; i++) {
  if (ACTIONS[i][0].length === 1) BY_LETTER[ACTIONS[i][0].charCodeAt(0)] = i;
}
const UNPLUGGED_BY_TIMER = ACTIONS.findIndex(([letters]) => letters === 'UT');

/** Returns the number of the action in bytes `start` to `end` (exclusive). */
export function actionOf(bytes: Uint8Array, start: number, end: number): number {
  if (end - start === 1) return BY_LETTER[bytes[start]];
  return end - start === 2 && bytes[start] === 0x55 && bytes[start + 1] === 0x54 ? UNPLUGGED_BY_TIMER : OTHER;
}
