/** Labels on every series of a recording, so that nobody mistakes the recording for a live node. */
export const REPLAY_LABELS = { source: 'replay' } as const;
