/** On every series of a recording, so that nobody takes it for a node. */
export const REPLAY_LABELS = { source: 'replay' } as const;
