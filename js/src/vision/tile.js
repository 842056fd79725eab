// A flat region that holds the symbol, as oneshot_runtime/vision/tile.py: an app's tile, a sign, a card.

import { union } from "./grouping.js";
import { crop } from "./image.js";
import { spread } from "./morphology.js";
import { countSet, filledIn, isConvex, isLetter } from "./outline.js";
import { connectedParts } from "./parts.js";
import { lightness } from "./picture.js";
import { nearest, reduce } from "./resample.js";

const [SIDE, ENLARGED] = [192, 3]; // longer side of the small picture, and how many times one of half that side is enlarged
const [WORKING_SIDE, MOST_COLOURED] = [1024, 3]; // longer side in which a tile is read, and by how much that is smaller in colour
const FLAT = [12, 32]; // levels that neighbours in a flat region differ by at most: as it was drawn, and in noise
const [REGIONS, SHARE] = [4, 0.03]; // regions that are looked at, and share of the picture that one takes at least
const [SOLID, HELD, CENTRAL] = [45, 8, 25]; // hundredths that are covered, size over what is held, and how far that is off
const [BESIDE, STEP, OTHER] = [[8, 16], 24, 70]; // where its surroundings are looked at, by how much and how far they differ
const [CONVEX, FULL] = [0.99, 75]; // share of its hull, and hundredths, that a tile covers where its surroundings may show through it
const RIM = 2; // pixels along a tile's edge that are soft

const longer = ({ width, height }) => Math.max(width, height);
const column = (at, { width }) => at % width;
const row = (at, { width }) => Math.floor(at / width);

// The largest tile of a picture that holds something, or null: { alone, left, top, scale }, see Tile in tile.py. central: whether
// what it holds must be in its middle. alone: whether it lies on no other tile, whose colour might show through it.
export function findTile(picture, central, alone) {
  const scale = Math.ceil(longer(picture.grey) / WORKING_SIDE);
  const grey = scale === 1 ? picture.grey : reduce(picture.grey, scale);
  const colours = picture.colours && scale <= MOST_COLOURED ? picture.colours() : null;
  const factor = Math.ceil(longer(grey) / SIDE);
  const small = (colours ?? [grey]).map((plane) => reduce(plane, factor));
  const times = 2 * longer(small[0]) <= SIDE ? ENLARGED : 1;
  const large = small.map((plane) => (times === 1 ? plane : nearest(plane, plane.width * times, plane.height * times)));
  for (const limit of FLAT) {
    for (const region of regions(large, limit)) {
      const filled = filledIn(region);
      if (!isTile(large, region, filled, central, alone)) continue;
      const soft = spread({ ...filled, pixels: filled.pixels.map((set) => 255 - set) }, RIM);
      const inside = { ...small[0], pixels: small[0].pixels.map((_, at) => {
        const place = (row(at, small[0]) * times + (times >> 1)) * soft.width + column(at, small[0]) * times + (times >> 1);
        return 255 - soft.pixels[place];
      }) };
      if (inside.pixels.some((set) => set)) return tileOf(inside, small, factor, scale, grey, colours);
    }
  }
  return null;
}

// The largest regions of pixels that differ by no more from their neighbours: within the picture, or as large as it is.
function* regions(planes, limit) {
  const { width, height } = planes[0];
  const flat = { width, height, pixels: new Uint8Array(width * height).fill(255) };
  for (const plane of planes) {
    const high = spread(plane, 1).pixels;
    const low = spread({ ...plane, pixels: plane.pixels.map((level) => 255 - level) }, 1).pixels;
    high.forEach((level, at) => { if (level + low[at] - 255 > limit) flat.pixels[at] = 0; });
  }
  const parts = connectedParts(flat, 128);
  const numbers = parts.areas.map((_, part) => part).sort((one, other) => parts.areas[other] - parts.areas[one]);
  for (const number of numbers.slice(0, REGIONS)) {
    if (parts.areas[number] < SHARE * flat.pixels.length) break;
    const [x, y, w, h] = parts.boxes[number];
    const ends = [x > 1, y > 1, x + w < width - 1, y + h < height - 1];
    if (ends.every((end) => end === ends[0])) yield spread(parts.mask([number], 0, 0, width, height), 1);
  }
}

// Whether a region of a picture is a tile, and something large enough is on it.
function isTile(planes, region, filled, central, alone) {
  const { width, height, pixels } = filled;
  if ([0, width - 1, (height - 1) * width, height * width - 1].some((corner) => pixels[corner])) return false;
  const [solid, area] = [countSet(region.pixels), countSet(pixels)];
  if (100 * solid < SOLID * area || !isConvex(filled)) return false;
  const [left, top, right, bottom] = boundsOf(filled);
  const side = Math.max(right - left, bottom - top);
  const carried = pixels.map((set, at) => (set && !region.pixels[at] ? 255 : 0));
  const held = connectedParts({ width, height, pixels: carried }, 128).boxes.filter(([, , w, h]) => HELD * Math.max(w, h) >= side);
  if (!held.length) return false;
  const [x, y, w, h] = union(held);
  const off = Math.max(Math.abs(2 * x + w - left - right), Math.abs(2 * y + h - top - bottom));
  if (central && 100 * off > CENTRAL * side) return false;
  const around = aroundOf(filled, side);
  const own = planes.map((plane) => Math.floor(plane.pixels.reduce((sum, level, at) => sum + (region.pixels[at] ? level : 0), 0) / solid));
  const isOther = (at) => planes.some((plane, band) => Math.abs(plane.pixels[at] - own[band]) >= STEP);
  if (100 * countSet(around.map((set, at) => set && isOther(at))) < OTHER * countSet(around)) return false;
  if (planes.some((plane) => Math.abs(usual(plane, carried) - usual(plane, around)) >= STEP)) return true;
  const ofIt = pixels.map((set, at) => (region.pixels[at] || (set && !isOther(at)) ? 255 : 0)); // in the holes of a letter, too
  const isWhole = !left && !top && right === width && bottom === height;
  const isPlain = isWhole || (100 * solid >= FULL * area && isConvex(filled, CONVEX));
  return alone && isPlain && !isLetter({ ...region, pixels: ofIt }, filled, [left, top, right, bottom]);
}

// What is around a region of that longer side; all else, where that is little.
function aroundOf(filled, side) {
  const [near, far] = BESIDE.map((share) => spread(filled, Math.max(2, Math.floor((share * side) / 100))).pixels);
  const around = far.map((set, at) => (set && !near[at] ? 255 : 0));
  return 4 * countSet(around) >= side ? around : filled.pixels.map((set) => 255 - set);
}

// The middle one of the levels that a plane has where a mask is set.
function usual({ pixels }, mask) {
  const levels = pixels.filter((_, at) => mask[at]).sort();
  return levels[levels.length >> 1];
}

function boundsOf(mask) {
  let [left, top, right, bottom] = [mask.width, mask.height, 0, 0];
  mask.pixels.forEach((set, at) => {
    if (!set) return;
    const [x, y] = [column(at, mask), row(at, mask)];
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x + 1), Math.max(bottom, y + 1)];
  });
  return [left, top, right, bottom];
}

// What is inside a mask of the small picture; beside it, the level of the nearest of it in the row.
function tileOf(mask, small, factor, scale, grey, colours) {
  const bounds = boundsOf(mask);
  const [left, top] = bounds;
  const inside = crop(mask, ...bounds);
  const levels = small.map((plane) => crop(plane, ...bounds));
  for (let y = 0; y < inside.height; y++) {
    const own = inside.pixels.subarray(y * inside.width, (y + 1) * inside.width);
    const [first, last] = [own.findIndex((set) => set), own.findLastIndex((set) => set)];
    for (const { pixels } of levels) {
      const line = pixels.slice(y * inside.width, (y + 1) * inside.width);
      own.forEach((_, x) => { pixels[y * inside.width + x] = line[Math.min(last, Math.max(first, x))]; });
    }
  }
  const alone = (plane, around) => {
    const [right, bottom] = [Math.min(plane.width, (left + inside.width) * factor), Math.min(plane.height, (top + inside.height) * factor)];
    const part = crop(plane, left * factor, top * factor, right, bottom);
    const [on, beside] = [inside, around].map((one) => nearest(one, part.width, part.height).pixels);
    return { ...part, pixels: part.pixels.map((level, at) => (on[at] ? level : beside[at])) };
  };
  const light = colours ? { ...inside, pixels: lightness(levels.map(({ pixels }) => pixels)) } : levels[0];
  const coloured = colours && (() => colours.map((plane, band) => alone(plane, levels[band])));
  return { alone: { grey: alone(grey, light), colours: coloured }, left: left * factor * scale, top: top * factor * scale, scale };
}
