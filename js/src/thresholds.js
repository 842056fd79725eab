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

// table: "thresholds" of the manifest. far: share of strangers that may get a label. classes: how many are known.
export function threshold(table, far, classes) {
  const rows = [...table].sort((one, other) => one.classes - other.classes);
  const rates = Object.keys(rows[0].logits).sort((one, other) => one - other);
  const sizes = rows.map((row) => Math.log(row.classes));
  const logits = rates.map((rate) => interpolate(sizes, rows.map((row) => row.logits[rate]), Math.log(Math.max(1, classes))));
  return 0.5 * (1 + Math.tanh(0.5 * interpolate(rates.map(Math.log), logits, Math.log(far))));
}

// Piecewise linear through (x, y), going on with the outer slopes.
function interpolate(x, y, at) {
  if (x.length === 1) return y[0];
  const found = x.findIndex((value, place) => place > 0 && at <= value);
  const upper = found > 0 ? found : x.length - 1;
  const lower = upper - 1;
  return y[lower] + ((y[upper] - y[lower]) * (at - x[lower])) / (x[upper] - x[lower]);
}
