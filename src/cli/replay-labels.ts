/** Labels on every series of a recording, so that nobody mistakes it for a live node. */
export const REPLAY_LABELS = { source: 'replay' } as const;
