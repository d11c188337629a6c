/** @xenolith/experiments: what-if questions to the model of Xen, with statistics and reports. */
export { bootLoaderAdvice, type BootLoaderAdvice } from './doctor/boot-loader.ts';
export * from './doctor/diagnosis.ts';
export {
  doctorJson,
  doctorText,
  hasAdvice,
  isSeen,
  type AppliedChange,
  type DoctorReport,
} from './doctor/doctor-report.ts';
export type { LostPart } from './doctor/dom0-model.ts';
export * from './doctor/evidence.ts';
export { predictDom0Memory, type Dom0Prediction, type Dom0Question } from './dom0-memory/prediction.ts';
export {
  predictionCsv,
  predictionExperiment,
  predictionJson,
  predictionTable,
  type Dom0QuestionText,
} from './dom0-memory/prediction-report.ts';
export * from './experiment.ts';
export { experiments } from './experiments.ts';
export { capacityExperiment, type CapacityPool, type CapacityQuestion } from './numa/capacity.ts';
export * from './numa/live-capacity.ts';
export {
  whatIfExperiment,
  whatIfPolicies,
  whatIfVmsMax,
  type VmGroup,
  type WhatIfPolicy,
  type WhatIfQuestion,
} from './numa/what-if.ts';
export * from './run-experiment.ts';
export { chartDocument } from './plot/chart-document.ts';
export { lineChart } from './plot/line-chart.ts';
export { colourOf, label, type PlottedValue, type Series } from './plot/panel.ts';
export { element, svgText, type SvgElement } from './plot/svg.ts';
export { csvReport } from './report/csv-report.ts';
export { jsonReport } from './report/json-report.ts';
export { svgReport } from './report/svg-report.ts';
export { tableReport } from './report/table-report.ts';
export { compare, type Comparison } from './statistics/compare.ts';
export { studentT } from './statistics/student-t.ts';
export { summarise, type Summary } from './statistics/summary.ts';
export type * from './validation/arrangement.ts';
export { pcpusOf, totalCpuNs } from './validation/arrangement.ts';
export { modelAnswer } from './validation/model-answer.ts';
export { validationPage } from './validation/page.ts';
export type * from './validation/question.ts';
export { validationQuestions } from './validation/questions.ts';
export * from './validation/result.ts';
export { freeMibOfXlInfo, topologyOfXlInfo } from './xl-info-topology.ts';
