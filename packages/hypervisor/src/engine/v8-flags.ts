/**
 * What a process that runs machines as fast as it can gives V8 (`v8.setFlagsFromString`) before it runs the first. An
 * event goes through many small functions, of which by default the optimising compiler puts 920 bytes of bytecode into
 * one; with the rest too, what they read of the same arrays is read once. Kept by `npm run bench -- scheduler-events`.
 */
export const machineV8Flags = '--max-inlined-bytecode-size-cumulative=2500';
