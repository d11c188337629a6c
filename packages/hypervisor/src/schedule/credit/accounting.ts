/** Credits: paid for running, earned at each accounting by the units that are active. */
import { creditFlag, priority, type CreditState } from './state.ts';

const none = -1;
/** A credit in nanoseconds of running, and in the millionths that residuals are counted in. */
const creditNs = 100_000;
const creditParts = 1_000_000;

/**
 * Lets a unit that runs pay until now (`burn_credits`). Quirk since 4.3: what is less than a credit is kept as a
 * residual, and its time is not counted as paid either, so it is paid twice. 4.2 rounds to the nearest credit.
 */
export function burn(state: CreditState, unit: number, nowNs: number): void {
  const { startNs } = state;
  const deltaNs = nowNs - startNs[unit]!;
  if (deltaNs <= 0) return;
  let credits: number;
  if (state.version === '4.2') {
    credits = Math.floor((deltaNs * 10 + creditParts / 2) / creditParts);
  } else {
    const parts = deltaNs * 10 + state.residual[unit]!;
    credits = Math.floor(parts / creditParts);
    state.residual[unit] = parts - credits * creditParts;
  }
  state.creditOf[unit]! -= credits;
  startNs[unit]! += credits * creditNs;
}

/** A unit that is found running takes part in accounting (`__csched_unit_acct_start`): at the head of its list. */
export function activate(state: CreditState, unit: number): void {
  const domain = state.core.domain[unit]!;
  const { firstUnit, activeNext, activePrevious } = state;
  const first = firstUnit[domain]!;
  activeNext[unit] = first;
  activePrevious[unit] = none;
  if (first !== none) activePrevious[first] = unit;
  firstUnit[domain] = unit;
  state.isActive[unit] = 1;
  state.weight = (state.weight + state.weightOf[domain]!) >>> 0;
  if (state.activeCount[domain]!++ === 0) addDomainFirst(state, domain);
}

/** A unit leaves accounting (`__csched_unit_acct_stop_locked`), and its domain with the last one. */
export function deactivate(state: CreditState, unit: number): void {
  const domain = state.core.domain[unit]!;
  const { activeNext, activePrevious } = state;
  const next = activeNext[unit]!;
  const previous = activePrevious[unit]!;
  if (previous === none) state.firstUnit[domain] = next;
  else activeNext[previous] = next;
  if (next !== none) activePrevious[next] = previous;
  state.isActive[unit] = 0;
  state.weight = (state.weight - state.weightOf[domain]!) >>> 0;
  if (--state.activeCount[domain]! === 0) takeDomainOut(state, domain);
}

function addDomainFirst(state: CreditState, domain: number): void {
  const first = state.firstDomain;
  state.domainNext[domain] = first;
  state.domainPrevious[domain] = none;
  if (first !== none) state.domainPrevious[first] = domain;
  state.firstDomain = domain;
}

function takeDomainOut(state: CreditState, domain: number): void {
  const { domainNext, domainPrevious } = state;
  const next = domainNext[domain]!;
  const previous = domainPrevious[domain]!;
  if (previous === none) state.firstDomain = next;
  else domainNext[previous] = next;
  if (next !== none) domainPrevious[next] = previous;
}

/** a * b, a + b and ⌈a / b⌉ of unsigned 32-bit numbers, as the C has them: they wrap. */
const times = (a: number, b: number): number => Math.imul(a, b) >>> 0;
const plus = (a: number, b: number): number => (a + b) >>> 0;
const ceilDiv = (a: number, b: number): number => Math.floor(plus(a, b - 1) / b);

/**
 * Shares out the credit of a slice among the active units, by weight and cap, and gives each its priority
 * (`csched_acct`). What a domain cannot use goes to those after it in the list.
 */
export function account(state: CreditState): void {
  const { creditBalance, parameters, weightOf, capOf, activeCount, domainNext } = state;
  const { creditsPerSlice } = parameters;
  const weightTotal = state.weight;
  // A balance below 0 is brought back to 0.
  let creditTotal = creditBalance < 0 ? plus(state.credit, -creditBalance) : state.credit;
  if (weightTotal === 0) {
    state.creditBalance = 0;
    return;
  }
  let weightLeft = weightTotal;
  let balance = 0;
  let isExtra = false;
  for (let domain = state.firstDomain, next; domain !== none; domain = next) {
    next = domainNext[domain]!;
    const weight = weightOf[domain]!;
    const count = activeCount[domain]!;
    weightLeft = plus(weightLeft, -times(weight, count));
    let peak = times(count, creditsPerSlice);
    if (creditBalance < 0) peak = plus(peak, ceilDiv(times(times(-creditBalance, weight), count), weightTotal));
    let unitCap = 0;
    if (capOf[domain] !== 0) {
      const cap = Math.floor(plus(times(capOf[domain]!, creditsPerSlice), 99) / 100);
      if (cap < peak) peak = cap;
      unitCap = ceilDiv(cap, count);
    }
    let fair = ceilDiv(times(times(creditTotal, weight), count), weightTotal);
    if (fair < peak) {
      isExtra = true;
    } else {
      if (weightLeft !== 0) {
        creditTotal = plus(creditTotal, ceilDiv(times(plus(fair, -peak), weightTotal), weightLeft));
      }
      // It goes first, so that the next time another one can have what it leaves.
      if (isExtra) {
        takeDomainOut(state, domain);
        addDomainFirst(state, domain);
      }
      fair = peak;
    }
    balance += accountUnits(state, domain, ceilDiv(fair, count), unitCap);
  }
  state.creditBalance = balance | 0;
  state.sortEpoch = (state.sortEpoch + 1) | 0;
}

/** Gives each active unit of a domain its share. @returns the credit they have now */
function accountUnits(state: CreditState, domain: number, share: number, unitCap: number): number {
  const { core, creditOf, priorityOf, flags, activeNext } = state;
  const { creditsPerSlice } = state.parameters;
  let balance = 0;
  for (let unit = state.firstUnit[domain]!, next; unit !== none; unit = next) {
    next = activeNext[unit]!;
    let credit = (creditOf[unit]! + share) | 0;
    creditOf[unit] = credit;
    if (credit < 0) {
      priorityOf[unit] = priority.over;
      if (unitCap !== 0 && credit < -unitCap && (flags[unit]! & creditFlag.parked) === 0) {
        flags[unit]! |= creditFlag.parked;
        core.park(unit);
      }
      if (credit < -creditsPerSlice) {
        credit = -creditsPerSlice;
        creditOf[unit] = credit;
      }
    } else {
      priorityOf[unit] = priority.under;
      if ((flags[unit]! & creditFlag.parked) !== 0) unpark(state, unit);
      if (credit > creditsPerSlice) {
        // It hardly runs: it leaves, with half its credit to begin with when it comes back.
        deactivate(state, unit);
        credit >>= 1;
        creditOf[unit] = credit;
      }
    }
    balance += credit;
  }
  return balance;
}

/** Lets a unit run again. It is woken while it still counts as parked, or it would be boosted; 4.2 does boost it. */
function unpark(state: CreditState, unit: number): void {
  if (state.version === '4.2') state.flags[unit]! &= ~creditFlag.parked;
  state.core.unpark(unit);
  state.flags[unit]! &= ~creditFlag.parked;
}
