/** Labels on every series of a recording, so that it is not mistaken for a live node. */
export const REPLAY_LABELS = { source: 'replay' } as const;
