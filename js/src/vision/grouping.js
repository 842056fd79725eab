// Which parts of ink make up one symbol, as oneshot_runtime/vision/grouping.py. A box is [x, y, width, height].

const [TOUCHING, NEAR, LOOSE] = [0.15, 0.35, 0.6]; // gaps between parts, as a share of the size that goes with each
const [LARGE, USUAL] = [1.6, 1.15]; // near parts make up at most so many usual sides together, loose ones so many

const [ALIKE, MANY] = [1.6, 6]; // things are alike up to so many times as large as each other; and so many are many

export const sideOf = (box) => Math.max(box[2], box[3]);

// Groups of parts, by the index of their box. common: the side of most symbols, where known; nothing larger reaches farther.
export function groupParts(boxes, common = 0) {
  let groups = boxes.map((_, index) => [index]);
  if (groups.length > 1) {
    const usual = usualSide(boxes);
    groups = joined(groups, boxes, (one, other) => {
      const larger = Math.min(Math.max(sideOf(one), sideOf(other)), common ? LARGE * common : Infinity);
      const apart = gap(one, other);
      return (apart <= NEAR * larger && together(one, other) <= LARGE * usual) || apart <= TOUCHING * larger;
    });
  }
  if (groups.length > 1) {
    const merged = groups.map((group) => union(group.map((index) => boxes[index])));
    const usual = usualSide(merged);
    groups = joined(groups, merged, (one, other) => gap(one, other) <= LOOSE * usual && together(one, other) <= USUAL * usual);
  }
  return groups;
}

// The side of most of many things; 0 where few are alike, or less than `mostly` times the largest.
export function commonSide(sides, mostly) {
  const ordered = [...sides].sort((one, other) => one - other);
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  let alike = [];
  ordered.forEach((least, at) => {
    const those = ordered.slice(at).filter((side) => side <= ALIKE * least);
    if (sum(those) > sum(alike)) alike = those;
  });
  return alike.length >= MANY && sum(alike) >= mostly * ordered.at(-1) ? median(alike) : 0;
}

// The box around boxes.
export function union(boxes) {
  let [left, top, right, bottom] = [Infinity, Infinity, 0, 0];
  for (const [x, y, width, height] of boxes) {
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + width);
    bottom = Math.max(bottom, y + height);
  }
  return [left, top, right - left, bottom - top];
}

// The distance between two boxes, 0 where they overlap.
export function gap(one, other) {
  const x = Math.max(0, other[0] - one[0] - one[2], one[0] - other[0] - other[2]);
  const y = Math.max(0, other[1] - one[1] - one[3], one[1] - other[1] - other[3]);
  return Math.sqrt(x * x + y * y);
}

export function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const together = (one, other) => sideOf(union([one, other]));

// The longer side that the larger half of the boxes usually has: dots and accents don't lower it.
export function usualSide(boxes) {
  const sides = boxes.map(sideOf);
  const middle = median(sides);
  return median(sides.filter((side) => side >= middle));
}

// Groups that are linked by any chain of near boxes, as one.
function joined(groups, boxes, near) {
  let waiting = groups.map((_, index) => index);
  const result = [];
  while (waiting.length) {
    const reached = [waiting.shift()];
    for (const index of reached) {
      const [linked, others] = [[], []];
      for (const other of waiting) (near(boxes[index], boxes[other]) ? linked : others).push(other);
      reached.push(...linked);
      waiting = others;
    }
    result.push(reached.flatMap((index) => groups[index]));
  }
  return result;
}
