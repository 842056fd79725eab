// The probability from which a match counts as known, as oneshot_runtime/model/thresholds.py gives it.

import { OptionError } from "./errors.js";

const HIGHEST_FAR = 0.5;

export const DEFAULT_FAR = 0.05;

// The rate, if it is null or a number above 0 and at most 0.5; else throws OptionError.
export function checkFar(far) {
  if (far !== null && !(typeof far === "number" && far > 0 && far <= HIGHEST_FAR)) {
    throw new OptionError(`far=${far}: it is the share of unknown symbols that may be given a label, a number above 0 and at most ` +
      `${HIGHEST_FAR}, or null to refuse none`);
  }
  return far;
}

// table: "thresholds" of the manifest. far: share of strangers that may get a label. classes: how many are known. supports: the mean
// number of supports of a class; beyond the most that were fitted it makes no difference.
export function threshold(table, far, classes, supports = 1) {
  return 0.5 * (1 + Math.tanh(0.5 * logitOf(table, far, classes, supports)));
}

function logitOf(table, far, classes, supports) {
  const rows = [...table].sort((one, other) => one.classes - other.classes);
  const at = (logits) => ofSingles(rows.map((row) => [row.classes, logits(row)]), far, classes);
  const single = at((row) => row.logits);
  const shots = Object.keys(rows[0].by_supports ?? {}).map(Number).sort((one, other) => one - other);
  if (supports <= 1 || !shots.length) return single;
  const several = [single, ...shots.map((number) => at((row) => row.by_supports[number]))];
  return interpolate([1, ...shots].map(Math.log), several, Math.log(Math.min(supports, shots.at(-1))));
}

// rows: number of classes and logits by rate.
function ofSingles(rows, far, classes) {
  const rates = Object.keys(rows[0][1]).sort((one, other) => one - other);
  const sizes = rows.map(([size]) => Math.log(size));
  const byRate = rates.map((rate) => interpolate(sizes, rows.map(([, logits]) => logits[rate]), Math.log(Math.max(1, classes))));
  return interpolate(rates.map(Math.log), byRate, Math.log(far));
}

// Piecewise linear through (x, y), going on with the outer slopes.
function interpolate(x, y, at) {
  if (x.length === 1) return y[0];
  const found = x.findIndex((value, place) => place > 0 && at <= value);
  const upper = found > 0 ? found : x.length - 1;
  const lower = upper - 1;
  return y[lower] + ((y[upper] - y[lower]) * (at - x[lower])) / (x[upper] - x[lower]);
}
