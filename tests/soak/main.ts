/** `npm run soak -- fuzz …` and `npm run soak -- …`: what is tried for as long as one likes, and is no test. */
if (process.argv[2] === 'fuzz') {
  const { runFuzz } = await import('./fuzz.ts');
  process.exitCode = await runFuzz(process.argv.slice(3));
} else {
  await import('./ssh-commands.ts');
}
