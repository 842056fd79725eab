// What is drawn around symbols, and is none, as oneshot_runtime/vision/rings.py.

import { sideOf, union } from "./grouping.js";
import { roundHalfEven, transposed } from "./image.js";
import { filledIn, isConvex } from "./outline.js";

const PENS = 8; // a ring's shorter side over the width of its pen, at least
const AROUND = 0.9; // share of the rows and columns of what it encloses that a ring closes to each side
const FILLED = 4; // a ring's longer side over that of all it encloses, at most
const THIN = 32; // a ring's longer side over the width of its pen, from which on it is hardly a stroke of the symbol
const [OUTLINE, ROUND] = [128, 0.85]; // pixels of a ring's longer side at which its outline is looked at, and share of its hull
const DOUBLE = 0.7; // a frame's longer side over that of the frame around it, at least
const FRAMED = 0.9; // share of each side of its box that a frame runs along

// Parts of ink that enclose others on all sides, clear of each: their numbers, of those given.
export function ringsOf(ink, numbers) {
  const { boxes, pens } = ink.parts;
  return numbers.filter((number) => {
    const [, , w, h] = boxes[number];
    if (!(4 * Math.min(w, h) >= PENS * pens[number])) return false;
    const inner = numbers.filter((other) => isWithin(boxes[other], boxes[number]));
    if (!inner.length || sideOf(union(inner.map((other) => boxes[other]))) * FILLED < Math.max(w, h)) return false;
    return isAround(ink, number, inner.filter((other) => !inner.some((outer) => isWithin(boxes[other], boxes[outer]))));
  });
}

function isWithin([left, top, width, height], [x, y, w, h]) {
  return left > x && top > y && left + width < x + w && top + height < y + h;
}

// The rings that are hardly part of a symbol: thin ones, and those that run along all four sides of their box, and nowhere else;
// of rings within each other the outer ones, as far as they are about as large; and whether one is round. pen: about the width of
// the symbol's strokes.
export function framesOf(ink, rings, pen) {
  const { boxes, pens } = ink.parts;
  const frames = [];
  let [last, isRound] = [0, false];
  for (const ring of [...rings].sort((one, other) => sideOf(boxes[other]) - sideOf(boxes[one]))) {
    const [x, y, w, h] = boxes[ring];
    const side = Math.max(w, h);
    if (side < DOUBLE * last) break;
    const band = Math.max(2, roundHalfEven(2 * pen), Math.floor(side / 12));
    const { isStraight, isEmpty } = sidesOf(ink.parts.mask([ring], x, y, x + w, y + h), band);
    if (!(isStraight && isEmpty) && 4 * side < THIN * pens[ring]) break;
    frames.push(ring);
    [last, isRound] = [side, isRound || !isStraight];
  }
  return { frames, isRound };
}

// Whether ink runs along all four sides of a mask, in a band, and whether there is none elsewhere.
function sidesOf(mask, band) {
  const { pixels, width, height } = mask;
  let isEmpty = true;
  const sides = [new Uint8Array(width), new Uint8Array(width), new Uint8Array(height), new Uint8Array(height)];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!pixels[y * width + x]) continue;
      const near = [y < band, y >= height - band, x < band, x >= width - band];
      if (!near.includes(true)) isEmpty = false;
      near.forEach((own, side) => { if (own) sides[side][side < 2 ? x : y] = 1; });
    }
  }
  return { isStraight: sides.every((side) => side.reduce((sum, own) => sum + own, 0) / side.length >= FRAMED), isEmpty };
}

// Whether a part is on all four sides of each of the others, and between no two pixels of one row or column of them. What is
// drawn around something has no bays.
function isAround({ parts }, number, inner) {
  const [x, y, w, h] = parts.boxes[number];
  const around = parts.mask([number], x, y, x + w, y + h);
  const largest = Math.max(...inner.map((other) => sideOf(parts.boxes[other])));
  const isBetween = (other) => {
    const mask = parts.mask([other], x, y, x + w, y + h);
    return isBeside(around, mask) && isBeside(transposed(around), transposed(mask));
  };
  if (!inner.filter((other) => 8 * sideOf(parts.boxes[other]) >= largest).every(isBetween)) return false;
  return isConvex(everySo(filledIn(around), 1 + Math.floor(Math.max(w, h) / OUTLINE)), ROUND);
}

// Whether what is around a mask is to the left and to the right of most of its rows, and never in between.
function isBeside(around, { pixels, width, height }) {
  let [rows, left, right] = [0, 0, 0];
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(y * width, (y + 1) * width);
    const first = row.findIndex((set) => set);
    if (first < 0) continue;
    const last = row.findLastIndex((set) => set);
    const other = around.pixels.subarray(y * width, (y + 1) * width);
    if (other.subarray(first, last + 1).some((set) => set)) return false;
    rows += 1;
    if (other.subarray(0, first).some((set) => set)) left += 1;
    if (other.subarray(last + 1).some((set) => set)) right += 1;
  }
  return Math.min(left / rows, right / rows) >= AROUND;
}

// Every so many rows and columns of an image, from the first.
function everySo({ pixels, width, height }, step) {
  const [columns, rows] = [Math.ceil(width / step), Math.ceil(height / step)];
  const part = { pixels: new Uint8Array(columns * rows), width: columns, height: rows };
  for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) part.pixels[y * columns + x] = pixels[y * step * width + x * step];
  return part;
}
