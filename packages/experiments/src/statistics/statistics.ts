/** Statistics of measurements: what several runs say together, whether two samples differ, and ministat's words for it. */
export { compare, type Comparison } from './compare.ts';
export { parseData, type DataOptions, type InvalidLine } from './ministat/data.ts';
export { ministatJson, ministatNotes } from './ministat/json.ts';
export { plotLines, type PlotOptions } from './ministat/plot.ts';
export { strtod } from './ministat/strtod.ts';
export {
  compareDataSets,
  confidencesPercent,
  dataSet,
  valuesMin,
  type DataSet,
  type MinistatSummary,
} from './ministat/summary.ts';
export { legendLines, marks, tableLines } from './ministat/table.ts';
export { printfG } from './printf-g.ts';
export { studentT } from './student-t.ts';
export { summarise, type Summary } from './summary.ts';
