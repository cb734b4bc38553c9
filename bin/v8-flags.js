/** V8 flags of the agent. Benchmarks that run parts of the agent set the same flags. */
export const V8_FLAGS = [
  // Keeps the young generation of each thread at its initial size. Otherwise it grows to 16 MiB while modules load, and
  // V8 does not shrink it again. The flag saves a tenth of the agent's memory. The smaller young generation costs no
  // time, because the agent allocates no JavaScript objects per event.
  '--semi-space-growth-factor=1',
  // Makes V8 collect garbage when the old generation has grown by 50 %. By default, V8 lets the old generation grow to
  // up to four times the size of the live objects.
  '--heap-growing-percent=50',
  // Lets V8 inline the functions that handle frequent trace events into the loop that decodes events.
  '--max-inlined-bytecode-size-cumulative=3000',
];
