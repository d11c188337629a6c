/** Ends the process when its output cannot be written: with 0 where whoever reads it has stopped reading, which is no failure. */
export function endWithOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    process.stderr.write(`Error: the output could not be written: ${error.message}\n`);
    process.exit(1);
  });
}
