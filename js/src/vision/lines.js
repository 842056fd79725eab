// The lines of ruled and squared paper: found and taken out, as oneshot_runtime/vision/lines.py.

import { crop, transposed } from "./image.js";

const BLOCKS = 32; // strips across a line, within which a slanted one is as good as straight
const SLANT = 24; // pixels that a line rises or falls at most, from one side of the picture to the other
const [WHOLE, SEVERAL] = [0.9, 0.35]; // shares of the picture that a line alone, and one of several, crosses
const FULL = 0.8; // a strip's share that a line takes in at least one row
const APART = 2; // several lines are longer than so many times the distance from one to the next
const STRONGER = 1.3; // what has so many times a line's contrast is ink that lies on it
const THICK = 24; // the shorter side of a picture over the width of the widest line

// { plane, lined }: an image of contrast without its horizontal and vertical lines, and whether it had any.
export function withoutLines(contrast, faintest) {
  let [plane, lined] = [contrast, false];
  for (const turned of [false, true]) {
    const seen = turned ? transposed(plane) : plane;
    const { lines, slant } = linesOf(seen, faintest);
    if (!lines.length) continue;
    lined = true;
    const erased = withoutThese(seen, lines, slant);
    plane = turned ? transposed(erased) : erased;
  }
  return { plane, lined };
}

// How many horizontal lines the pixels of that level or more make up.
export const countLines = (image, limit) => linesOf(image, limit).lines.length;

// Top and bottom (exclusive) of each line at the picture's middle, and by how much they fall from left to right.
function linesOf(image, limit) {
  const { width, height } = image;
  if (Math.min(height, width) < BLOCKS) return { lines: [], slant: 0 };
  const step = Math.floor(width / BLOCKS);
  const blocks = setPixels(image, limit, step);
  let full = 0;
  for (let block = 0; block < BLOCKS; block++) {
    let most = 0;
    for (let y = 0; y < height; y++) most = Math.max(most, blocks[y * BLOCKS + block]);
    if (most >= FULL * step) full += 1;
  }
  if (full < SEVERAL * BLOCKS) return { lines: [], slant: 0 };
  const { fall, profile } = straightest(blocks, height);
  const at = (y, block) => blocks[row(y, fall, block, height) * BLOCKS + block];
  const ends = (y) => Math.min(at(y, 0), at(y, BLOCKS - 1)) >= FULL * step;
  const thickest = Math.max(2, Math.floor(height / THICK));
  const thin = (line) => line[1] - line[0] <= thickest;
  const several = runs(height, (y) => profile[y] >= SEVERAL * step * BLOCKS).filter(thin);
  if (areEvenlySpaced(several, Math.floor(width / APART))) return { lines: several, slant: fall };
  return { lines: runs(height, (y) => profile[y] >= WHOLE * step * BLOCKS && ends(y)).filter(thin), slant: fall };
}

// How many pixels are set in each row of each strip, Int32Array(height * BLOCKS).
function setPixels({ pixels, width, height }, limit, step) {
  const blocks = new Int32Array(height * BLOCKS);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < step * BLOCKS; x++) {
      if (pixels[y * width + x] >= limit) blocks[y * BLOCKS + Math.floor(x / step)] += 1;
    }
  }
  return blocks;
}

const row = (y, fall, block, height) => {
  const moved = (y + Math.floor((fall * (2 * block + 1 - BLOCKS)) / (2 * BLOCKS))) % height;
  return moved < 0 ? moved + height : moved;
};

// The fall whose rows differ most, and how many pixels are set in each row along it.
function straightest(blocks, height) {
  let best = { score: -1 };
  for (let away = 0; away <= SLANT; away++) {
    for (const fall of away ? [-away, away] : [0]) {
      const profile = new Int32Array(height);
      for (let block = 0; block < BLOCKS; block++) {
        for (let y = 0; y < height; y++) profile[y] += blocks[row(y, fall, block, height) * BLOCKS + block];
      }
      const score = profile.reduce((sum, value) => sum + value * value, 0);
      if (score > best.score) best = { score, fall, profile };
    }
  }
  return best;
}

// Whether there are four lines at least, as far from each other everywhere, `most` pixels, but for some that are missing.
function areEvenlySpaced(lines, most) {
  if (lines.length < 4) return false;
  const middles = lines.map(([top, bottom]) => top + bottom);
  const gaps = middles.slice(1).map((middle, place) => middle - middles[place]);
  const step = [...gaps].sort((one, other) => one - other)[gaps.length >> 1];
  const even = gaps.filter((gap) => 4 * Math.abs(gap - step * Math.max(1, Math.floor((2 * gap + step) / (2 * step)))) <= step);
  return step <= 2 * most && even.length / gaps.length >= 0.75;
}

function runs(length, isSet) {
  const found = [];
  let start = -1;
  for (let at = 0; at <= length; at++) {
    const set = at < length && isSet(at);
    if (set && start < 0) start = at;
    if (!set && start >= 0) {
      found.push([start, at]);
      start = -1;
    }
  }
  return found;
}

function withoutThese(image, lines, slant) {
  const { width, height } = image;
  const { pixels } = crop(image, 0, 0, width, height);
  const falls = Int32Array.from({ length: width }, (_, x) => Math.floor((slant * (2 * x + 1 - width)) / (2 * width)));
  const place = (y, x) => Math.min(height - 1, Math.max(0, y + falls[x])) * width + x;
  for (const [top, bottom] of lines) {
    const [first, last] = [top - 2, bottom + 1]; // a soft edge, and a pixel for the slant within a strip
    const kept = new Uint8Array(width);
    const levels = new Uint8Array(width);
    for (let x = 0; x < width; x++) {
      kept[x] = Math.min(pixels[place(first - 1, x)], pixels[place(last + 1, x)]);
      levels[x] = pixels[place((top + bottom - 1) >> 1, x)];
    }
    const own = levels.sort()[width >> 1];
    for (let y = first; y <= last; y++) {
      for (let x = 0; x < width; x++) {
        const at = place(y, x);
        if (pixels[at] <= STRONGER * own) pixels[at] = Math.min(pixels[at], kept[x]);
      }
    }
  }
  return { pixels, width, height };
}
