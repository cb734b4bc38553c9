/** V8 flags of the agent. Benchmarks that run parts of the agent set the same flags. */
export const V8_FLAGS = [
  // Keeps the young generation of each thread at its initial size. Otherwise it grows to 16 MiB while modules load, and
  // V8 does not shrink it again.
  '--semi-space-growth-factor=1',
  // Makes V8 collect garbage when the old generation has grown by 50 %. The default is up to 300 %.
  '--heap-growing-percent=50',
  // Lets V8 inline the functions that handle frequent trace events into the loop that decodes events.
  '--max-inlined-bytecode-size-cumulative=3000',
  // Makes V8 also inline calls that are still rare when it compiles this loop, usually before the first heavy load.
  '--min-inlining-frequency=0',
];
