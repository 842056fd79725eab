// The outlines of things in a small picture, as oneshot_runtime/vision/outline.py. A mask is an image of 0 and 255.

import { connectedParts } from "./parts.js";

const RECTANGLE = 0.93; // share of the smallest rectangle around it that a sheet or a tile covers, at least; it may be round, too
const DIRECTIONS = Array.from({ length: 16 }, (_, at) => [16, 2 * at - 16]); // of a rectangle's sides
const CONVEX = 0.96; // share of its hull that a sheet or a tile covers, at least
const SOLID = 0.6; // share of it that a sheet or a tile covers with itself, at least: what it carries takes less
const HOLES = 3; // holes that a letter has at most

export const countSet = (pixels) => pixels.reduce((sum, set) => sum + (set ? 1 : 0), 0);

// Whether a thing is a sheet or a tile, and no letter. filled: the thing as `filledIn` gives it. box: its left, top, right and
// bottom.
export function isCarrier(mask, filled, box) {
  return countSet(mask.pixels) >= SOLID * countSet(filled.pixels) && isConvex(filled) && !isLetter(mask, filled, box);
}

// Whether a convex thing may be a letter: its holes have its own shape and fill it.
export function isLetter(mask, filled, [left, top, right, bottom]) {
  const holes = connectedParts({ ...mask, pixels: filled.pixels.map((set, at) => (set && !mask.pixels[at] ? 255 : 0)) }, 128);
  const area = countSet(filled.pixels);
  const large = holes.areas.map((_, hole) => hole).filter((hole) => 50 * holes.areas[hole] >= area);
  if (!large.length || large.length > HOLES) return false;
  const straight = isRectangle(filled);
  for (const number of large) {
    const hole = filledIn(holes.mask([number], 0, 0, mask.width, mask.height));
    if (20 * holes.areas[number] < 19 * countSet(hole.pixels) || !isConvex(hole)) return false;
    if (straight && !isRectangle(hole)) return false;
  }
  const boxes = large.map((number) => holes.boxes[number]);
  const margins = [
    Math.min(...boxes.map(([x]) => x)) - left,
    Math.min(...boxes.map(([, y]) => y)) - top,
    right - Math.max(...boxes.map(([x, , w]) => x + w)),
    bottom - Math.max(...boxes.map(([, y, , h]) => y + h)),
  ];
  const most = Math.max(...margins);
  return most <= 2 * Math.min(...margins) + 2 && 10 * most <= 3 * Math.max(right - left, bottom - top);
}

// A mask filled between the ends of each row, where that is between the ends of the column, too.
export function filledIn({ pixels, width, height }) {
  const across = new Uint8Array(pixels.length);
  const [first, last] = [new Array(width).fill(height), new Array(width).fill(-1)];
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(y * width, (y + 1) * width);
    const start = row.findIndex((set) => set);
    if (start < 0) continue;
    across.fill(255, y * width + start, y * width + row.findLastIndex((set) => set) + 1);
    row.forEach((set, x) => {
      if (!set) return;
      first[x] = Math.min(first[x], y);
      last[x] = y;
    });
  }
  const inside = (at) => first[at % width] <= Math.floor(at / width) && Math.floor(at / width) <= last[at % width];
  return { pixels: across.map((set, at) => (set && inside(at) ? 255 : 0)), width, height };
}

// Whether a region that is not empty takes that share of its hull.
export const isConvex = (filled, share = CONVEX) => countSet(filled.pixels) >= share * countSet(convexHull(filled).pixels);

// Whether a convex region fills the smallest rectangle around it, in any direction.
export function isRectangle({ pixels, width, height }) {
  const ends = [];
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(y * width, (y + 1) * width);
    const start = row.findIndex((set) => set);
    if (start >= 0) ends.push([start, y], [row.findLastIndex((set) => set), y]);
  }
  const extent = (along) => {
    const places = ends.map(along);
    return Math.max(...places) - Math.min(...places);
  };
  const areas = DIRECTIONS.map(([across, down]) => {
    const long = extent(([x, y]) => x * across + y * down) + across + down;
    const wide = extent(([x, y]) => y * across - x * down) + across + down;
    return Math.floor((long * wide) / (across * across + down * down));
  });
  return countSet(pixels) >= RECTANGLE * Math.min(...areas);
}

// The convex hull of a mask that is not empty.
export function convexHull({ pixels, width, height }) {
  const [firsts, lasts, rows] = [[], [], []];
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(y * width, (y + 1) * width);
    const first = row.findIndex((set) => set);
    if (first < 0) continue;
    rows.push(y);
    firsts.push(first);
    lasts.push(width - 1 - row.findLastIndex((set) => set));
  }
  const [left, right] = [under(firsts), under(lasts)];
  const hull = new Uint8Array(width * height);
  rows.forEach((y, place) => hull.fill(255, y * width + left[place], Math.max(y * width + left[place], (y + 1) * width - right[place])));
  return { pixels: hull, width, height };
}

// The highest convex line that is nowhere above these bounds, rounded up.
function under(bounds) {
  const kept = [];
  const turnsUp = (one, middle, other) =>
    (bounds[middle] - bounds[one]) * (other - one) >= (bounds[other] - bounds[one]) * (middle - one);
  bounds.forEach((_, at) => {
    while (kept.length > 1 && turnsUp(kept.at(-2), kept.at(-1), at)) kept.pop();
    kept.push(at);
  });
  const line = [bounds[0]];
  for (let place = 1; place < kept.length; place++) {
    const [one, other] = [kept[place - 1], kept[place]];
    for (let step = 1; step <= other - one; step++) {
      line.push(bounds[one] - Math.floor((step * (bounds[one] - bounds[other])) / (other - one)));
    }
  }
  return line;
}
