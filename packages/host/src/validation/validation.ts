/** Asks real Xen, through its driver, what the model was asked. */
export { arrange, guestConfig, measureRun, tidyUp, type ArrangedHost, type ValidatedHost } from './arranged-host.ts';
export { askMeasured, type AskOptions } from './ask.ts';
export { tracedFigures, type TraceReading } from './traced-figures.ts';
export {
  askExact,
  pinSteps,
  pinsLook,
  poolsLook,
  poolSteps,
  type ByHandOutcome,
  type Look,
  type Step,
  type SteppedHost,
} from './exact-steps.ts';
