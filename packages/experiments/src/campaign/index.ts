/** Benchmark campaigns: their definition, plan, samples and reports. */
export type * from './campaign.ts';
export { campaignResult, type CampaignResult, type Cell, type Row, type Verdict } from './campaign-result.ts';
export { definitionChanges, definitionJson } from './definition-changes.ts';
export { readFigure, type CommandOutcome } from './figure.ts';
export {
  kernelMismatch,
  machineFactsScript,
  machineText,
  parseMachineFacts,
  type KernelFacts,
  type MachineFacts,
} from './machine-facts.ts';
export { parseCampaign } from './parse-campaign.ts';
export { planSteps, type Step } from './plan.ts';
export { recipeOf, type Recipe } from './recipe.ts';
export { campaignSvg } from './result-charts.ts';
export { campaignCsv, campaignJson } from './result-data.ts';
export { campaignPage } from './result-page.ts';
export { campaignText } from './result-text.ts';
export {
  parseSamples,
  sampleLine,
  sampleOf,
  stepsLeft,
  type GuestSample,
  type Sample,
  type SampleFile,
} from './sample.ts';
export { parseXenHost, type XenHostFacts } from './xen-host.ts';
export { problemText, type YamlProblem } from './yaml-value.ts';
