// What is drawn around symbols, and is none, as oneshot_runtime/vision/rings.py.

import { sideOf, union } from "./grouping.js";

const PENS = 8; // a ring's shorter side over the width of its pen, at least
const AROUND = 0.9; // share of the rows and columns of what it encloses that a ring closes to each side
const FILLED = 4; // a ring's longer side over that of all it encloses, at most

// Parts of ink that enclose others on all sides, clear of each: their numbers, of those given.
export function ringsOf(ink, numbers) {
  const { boxes, pens } = ink.parts;
  return numbers.filter((number) => {
    const [x, y, w, h] = boxes[number];
    if (!(4 * Math.min(w, h) >= PENS * pens[number])) return false;
    const inner = numbers.map((other) => boxes[other]).filter(([left, top, width, height]) =>
      left > x && top > y && left + width < x + w && top + height < y + h);
    return inner.length > 0 && sideOf(union(inner)) * FILLED >= Math.max(w, h) && isAround(ink, number, inner);
  });
}

// Whether a part is on all four sides of each of the boxes, and in none of them.
function isAround({ parts }, number, inner) {
  const [x, y, w, h] = parts.boxes[number];
  const { pixels } = parts.mask([number], x, y, x + w, y + h);
  const isSet = (left, top, right, bottom) => {
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) if (pixels[row * w + column]) return true;
    }
    return false;
  };
  const share = (from, to, isClosed) => {
    let closed = 0;
    for (let at = from; at < to; at++) if (isClosed(at)) closed += 1;
    return closed / (to - from);
  };
  const largest = Math.max(...inner.map(sideOf));
  return inner.filter((box) => 8 * sideOf(box) >= largest).every((box) => {
    const [left, top] = [box[0] - x, box[1] - y];
    const [right, bottom] = [left + box[2], top + box[3]];
    return !isSet(left, top, right, bottom) &&
      share(top, bottom, (row) => isSet(0, row, left, row + 1)) >= AROUND &&
      share(top, bottom, (row) => isSet(right, row, w, row + 1)) >= AROUND &&
      share(left, right, (column) => isSet(column, 0, column + 1, top)) >= AROUND &&
      share(left, right, (column) => isSet(column, bottom, column + 1, h)) >= AROUND;
  });
}
