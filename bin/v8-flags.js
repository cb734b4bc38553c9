/** Flags of V8 for the agent. Benchmarks that run parts of the agent set them, too. */
export const V8_FLAGS = [
  // Per thread, the young generation grows to 16 MiB while modules load, and is never given back. Keeping its first size
  // saves a tenth of the agent's memory, and costs nothing because events allocate nothing.
  '--semi-space-growth-factor=1',
  // Otherwise the old generation grows to up to four times its live size before garbage is collected.
  '--heap-growing-percent=50',
  // Lets V8 compile the loop over events together with the handlers of the most frequent ones.
  '--max-inlined-bytecode-size-cumulative=3000',
];
