// Rows of symbols that stand as close as print, as oneshot_runtime/vision/rows.py. A box is [x, y, width, height].

import { groupParts, median, sideOf, union, usualSide } from "./grouping.js";

const [FEWEST, FEWEST_LIKE] = [3, 2]; // symbols of a row, at least; and of another that is as high as one of those is
// Gap between what lies above each other in one symbol, how high and wide both are together; and how much higher than another row.
const [STACKED, TOGETHER, OTHER] = [0.35, 1.6, 2];
const [APART, ALIKE] = [0.5, 2.5]; // gap between neighbours of a row, and how many times as high as the other one is
const NARROW = 0.35; // width over height of most symbols of a row, at least: narrower ones are strokes, beside each other
const LONG = 2; // what joins may be a row where it is longer than so many of its parts are large

// Groups of parts as in groupParts; in rows of print, which would join to words and to sheets, each symbol is one.
export function groupSymbols(boxes, common = 0) {
  const groups = groupParts(boxes, common);
  if (!groups.some((group) => mayBeRow(group.map((part) => boxes[part])))) return groups;
  const symbols = longerRows(boxes);
  const taken = new Set(symbols.flat());
  const rest = boxes.map((_, part) => part).filter((part) => !taken.has(part));
  const others = groupParts(rest.map((part) => boxes[part]), common);
  return [...symbols, ...others.map((group) => group.map((at) => rest[at]))];
}

// Whether most of the symbols with these boxes stand in rows.
export function areRow(boxes) {
  return mayBeRow(boxes) && 2 * longerRows(boxes).length > boxes.length;
}

function mayBeRow(boxes) {
  return boxes.length >= FEWEST && sideOf(union(boxes)) > LONG * usualSide(boxes);
}

// The symbols of rows, from left to right or from top to bottom: of that way of writing which has more.
function longerRows(boxes) {
  const [across, down] = [rowsOf(boxes), rowsOf(boxes.map(([x, y, width, height]) => [y, x, height, width]))];
  return down.length > across.length ? down : across;
}

// The symbols of rows that run from left to right, each with its parts.
function rowsOf(boxes) {
  const bodies = bodiesOf(boxes, inRows(boxes));
  const around = bodies.map((body) => union(body.map((part) => boxes[part])));
  const heightOf = (chain) => median(chain.map((body) => around[body][3]));
  const chains = chainsOfSymbols(around);
  const rows = chains.filter((chain) => mayBeRow(chain.map((body) => around[body])));
  const heights = rows.map(heightOf);
  for (const chain of chains) {
    const height = heightOf(chain);
    const isLike = heights.some((other) => 2 * height >= other && height <= 2 * other);
    if (chain.length >= FEWEST_LIKE && chain.length < FEWEST && isLike) rows.push(chain);
  }
  return rows.flat().map((body) => bodies[body]);
}

const chainsOfSymbols = (boxes) => chainsOf(boxes)
  .filter((chain) => median(chain.map((at) => boxes[at][2] / boxes[at][3])) >= NARROW);

// The parts that stand in rows as they are.
const inRows = (boxes) => new Set(chainsOfSymbols(boxes).filter((chain) => mayBeRow(chain.map((at) => boxes[at]))).flat());

// Parts that lie above each other in one symbol: a stem and its dot, a letter and its accent, but not smaller print of another row.
function bodiesOf(boxes, rows) {
  const near = [];
  for (let one = 0; one < boxes.length; one++) {
    for (let other = one + 1; other < boxes.length; other++) {
      const [[x, y, w, h], [left, top, width, height]] = [boxes[one], boxes[other]];
      const shared = Math.min(x + w, left + width) - Math.max(x, left);
      const apart = Math.max(y - top - height, top - y - h);
      if (2 * shared < Math.min(w, width) || apart > STACKED * Math.max(w, h, width, height)) continue;
      if (rows.has(one) && rows.has(other) && OTHER * Math.min(h, height) <= Math.max(h, height)) continue;
      near.push({ one, other, apart });
    }
  }
  const owner = boxes.map((_, part) => part);
  const members = boxes.map((_, part) => [part]);
  const around = [...boxes];
  for (const pair of near.sort((first, second) => first.apart - second.apart)) {
    const [one, other] = [owner[pair.one], owner[pair.other]];
    if (one === other) continue;
    const box = union([around[one], around[other]]);
    const taller = around[other][3] > around[one][3] ? around[other] : around[one];
    if (box[3] > Math.max(TOGETHER * taller[3], box[2]) || box[2] > Math.max(TOGETHER * taller[2], taller[3])) continue;
    for (const part of members[other]) owner[part] = one;
    members[one].push(...members[other]);
    members[other] = [];
    around[one] = box;
  }
  return members.filter((body) => body.length);
}

// Boxes beside each other, from left to right: each is followed by the next that is about as high and on its line.
function chainsOf(boxes) {
  const gaps = boxes.map(([x, y, w, h]) => boxes.map(([left, top, width, height]) => {
    const gap = left - x - w;
    const shared = Math.min(y + h, top + height) - Math.max(y, top);
    const [smaller, larger] = [Math.min(h, height), Math.max(h, height)];
    const beside = 4 * gap >= -Math.min(w, width) && gap <= APART * larger && 2 * shared >= smaller && larger <= ALIKE * smaller;
    return beside ? gap : Infinity;
  }));
  const nearest = (row) => row.reduce((best, gap, at) => (gap < row[best] ? at : best), 0);
  const before = boxes.map((_, at) => nearest(gaps.map((row) => row[at])));
  const following = gaps.map((row, at) => {
    const next = nearest(row);
    return row[next] < Infinity && before[next] === at ? next : -1;
  });
  const followers = new Set(following);
  return boxes.map((_, at) => at).filter((at) => !followers.has(at)).map((start) => {
    const chain = [start];
    while (following[chain.at(-1)] >= 0) chain.push(following[chain.at(-1)]);
    return chain;
  });
}
