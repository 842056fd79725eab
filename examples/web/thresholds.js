// The probability from which a match counts as known, as oneshot_runtime/model/thresholds.py gives it.

// table: "thresholds" of the manifest. far: share of strangers that may get a label. classes: how many are known.
export function threshold(table, far, classes) {
  if (!classes) return 0;
  const rows = table.toSorted((one, other) => one.classes - other.classes);
  const rates = Object.keys(rows[0].logits).sort((one, other) => one - other);
  const sizes = rows.map((row) => Math.log(row.classes));
  const logits = rates.map((rate) => interpolate(sizes, rows.map((row) => row.logits[rate]), Math.log(classes)));
  return 1 / (1 + Math.exp(-interpolate(rates.map(Math.log), logits, Math.log(far))));
}

// Piecewise linear through (x, y), going on with the outer slopes.
function interpolate(x, y, at) {
  if (x.length === 1) return y[0];
  const found = x.findIndex((value, place) => place > 0 && at <= value);
  const upper = found > 0 ? found : x.length - 1;
  const lower = upper - 1;
  return y[lower] + ((y[upper] - y[lower]) * (at - x[lower])) / (x[upper] - x[lower]);
}
