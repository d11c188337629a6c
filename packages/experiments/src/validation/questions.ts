import type { Question } from './question.ts';
import { caps, fairness, fourOnTwo, weights } from './share-questions.ts';
import { isolation, ratelimit, timeslices } from './trace-questions.ts';

const steps = { parts: [] } as const;

const poolSteps: Question = {
  ...steps,
  id: 'Q7',
  title: 'cpupools: what is done and what is refused',
  what: 'The same operations on cpupools, one after the other: is the same done and the same refused, and are there the same pools afterwards?',
  notes: [
    'Our driver looks before it asks `xl`, and refuses by itself what the rules of the model refuse. So what is refused was also asked of Xen without it, with `xl` in the control domain: its exit code and its last words are shown. The pools were looked at after both. Exit codes of `xl` do not tell: it ends with 0 for some refusals.',
    'That Xen has no RTDS scheduler is said by its refusal; the suite that every driver passes has it too (`packages/host/src/conformance-scheduling.ts`).',
  ],
};

const pinSteps: Question = {
  ...steps,
  id: 'Q9',
  title: 'hard and soft affinity',
  what: 'vCPUs of a VM of two are pinned, one by one and together: are the masks the same?',
  notes: [
    'A VM of which nobody says where it is to be is placed on a NUMA node when it is made, by libxl and by the model of it: that is its soft affinity at first.',
    'After each step both hosts list the masks of all vCPUs. Node affinity is not compared: neither the model nor the driver tells it.',
  ],
};

/** Every question, in order. */
export const validationQuestions: readonly Question[] = [
  weights,
  caps,
  fourOnTwo,
  fairness,
  ratelimit,
  timeslices,
  poolSteps,
  isolation,
  pinSteps,
];
