// Ink that one level tells from all paper, whatever shadows lie on it, as oneshot_runtime/vision/level_ink.py.

import { sideOf, union } from "./grouping.js";
import { crop } from "./image.js";
import { LOGARITHM } from "./ink.js";
import { spread } from "./morphology.js";
import { filledIn, isCarrier, isRectangle } from "./outline.js";
import { connectedParts } from "./parts.js";
import { reduce } from "./resample.js";
import { sceneOf, working } from "./segment.js";

const SIDE = 192; // longer side of the small picture at most
const LEVELS = 64; // levels of the logarithm that are told apart
const [CONTRAST, ENOUGH] = [12, 24]; // levels between ink and paper along most of an outline, at least; more than that is no better
const WEAKEST = 5; // one pixel of so many of an outline may have less contrast
const [TRIED, APART] = [6, 3]; // levels that are tried, and how far they are from each other
const BETTER = [9, 8]; // ink that is worth so much more than that of a level with a stronger outline is the likelier one
const MOST_PARTS = 40; // parts of ink above which they are noise
const [LARGE, BIT] = [16, 8]; // the picture's shorter side over the ink's longer side, and that over the side of bits of it, at most
const [SHEET, BAY] = [5, 4]; // the picture's shorter side over that of an empty sheet, at most; pixels of what lies on one, more than
const EDGE = 10; // what leaves less than one part in so many of the width or height is the edge of a sheet or a card
const MARGIN = 3; // pixels of the small picture around the ink that are looked at

const LEVEL = LOGARITHM.map((level) => Math.floor(level / (256 / LEVELS)));

// The ink that one level tells from its paper, drawn dark on white: { view, scene }; null where there is none. view: where ink
// was looked for in the picture before; ink is looked for in all of it.
export function levelScene(grey, view) {
  let [small, factor] = view.grey === grey ? [view.working, view.factor] : working(grey);
  const times = Math.ceil(Math.max(small.width, small.height) / SIDE);
  if (times > 1) small = reduce(small, times);
  const best = bestLevel(small);
  if (!best) return null;
  const [x, y, w, h] = best.box;
  factor *= times;
  const [left, top] = [Math.max(0, x - MARGIN) * factor, Math.max(0, y - MARGIN) * factor];
  const [right, bottom] = [Math.min(grey.width, (x + w + MARGIN) * factor), Math.min(grey.height, (y + h + MARGIN) * factor)];
  const part = crop(grey, left, top, right, bottom);
  part.pixels = part.pixels.map((level) => best.curve[level]);
  const [drawn, reducedBy] = working(part);
  const contrast = { ...drawn, pixels: drawn.pixels.map((level) => 255 - level) };
  const parts = connectedParts(contrast, 128);
  const [peaks, means] = parts.levels(contrast);
  const paper = { ...drawn, pixels: new Uint8Array(drawn.pixels.length).fill(255) };
  const ink = { light: false, grey: drawn, paper, contrast, limit: 128, parts, peaks, means, lined: false };
  const scene = sceneOf(ink, Math.max(drawn.width, drawn.height));
  return scene.symbols.length ? { view: { grey: part, left, top, working: drawn, factor: reducedBy }, scene } : null;
}

function bestLevel(small) {
  const levels = { ...small, pixels: small.pixels.map((level) => LEVEL[level]) };
  const [low, high] = around(levels, 2);
  const contrast = high.map((level, at) => level - low[at]);
  let best = null;
  for (const level of firmest(levels)) {
    for (const light of [false, true]) {
      const one = atLevel(small, levels, contrast, level, light);
      if (one && (!best || BETTER[1] * one.worth > BETTER[0] * best.worth)) best = one;
    }
  }
  return best;
}

// The lowest and the highest level around each pixel.
function around(levels, reach) {
  const low = spread({ ...levels, pixels: levels.pixels.map((level) => 255 - level) }, reach).pixels.map((level) => 255 - level);
  return [low, spread(levels, reach).pixels];
}

// The levels with the strongest outlines: those that divide the surroundings of pixels, few of them weakly.
function firmest(levels) {
  const [low, high] = around(levels, 1);
  const pairs = new Float64Array(LEVELS * LEVELS);
  low.forEach((level, at) => {
    pairs[level * LEVELS + high[at]] += 1;
  });
  const [firm, lengths] = [new Array(LEVELS).fill(0), new Array(LEVELS).fill(0)];
  for (let level = 1; level < LEVELS; level++) {
    const counts = new Float64Array(LEVELS);
    for (let under = 0; under < level; under++) {
      for (let over = level; over < LEVELS; over++) counts[over - under] += pairs[under * LEVELS + over];
    }
    lengths[level] = counts.reduce((sum, count) => sum + count, 0);
    let seen = counts[0];
    while (lengths[level] && seen <= Math.floor(lengths[level] / WEAKEST)) seen += counts[++firm[level]];
  }
  const found = [];
  const order = firm.map((_, level) => level).sort((one, other) => firm[other] - firm[one] || lengths[one] - lengths[other] || one - other);
  for (const level of order) {
    const isPeak = 2 * firm[level] > CONTRAST && firm[level] === Math.max(...firm.slice(Math.max(0, level - APART), level + APART + 1));
    if (found.length < TRIED && isPeak && found.every((other) => Math.abs(level - other) > APART)) found.push(level);
  }
  return found;
}

// The ink of a level: { worth, box, curve }, see _Level in level_ink.py; null where it is noise, weak, or a sheet or a tile.
function atLevel(small, levels, contrast, level, light) {
  const { width, height } = small;
  const mask = levels.pixels.map((value) => ((light ? value >= level : value < level) ? 255 : 0));
  const parts = connectedParts({ pixels: mask, width, height }, 128);
  const numbers = parts.boxes.map((_, number) => number).filter((number) => {
    const [x, y, w, h] = parts.boxes[number];
    const isInside = x > 0 && y > 0 && x + w < width && y + h < height && parts.areas[number] > 1;
    return isInside && EDGE * w < (EDGE - 1) * width && EDGE * h < (EDGE - 1) * height;
  });
  const largest = numbers.reduce((best, number) => (sideOf(parts.boxes[number]) > sideOf(parts.boxes[best]) ? number : best), numbers[0]);
  if (!numbers.length || numbers.length > MOST_PARTS) return null;
  const side = sideOf(parts.boxes[largest]);
  if (side * LARGE < Math.min(height, width)) return null;
  const own = parts.mask(numbers, 0, 0, width, height);
  const beside = spread({ ...own, pixels: own.pixels.map((set) => 255 - set) }, 1).pixels;
  const along = contrast.filter((_, at) => own.pixels[at] && beside[at]).sort();
  const weakest = along[Math.floor(along.length / WEAKEST)];
  if (weakest < CONTRAST || carries(parts.mask([largest], 0, 0, width, height), parts.boxes[largest])) return null;
  const box = union(numbers.map((number) => parts.boxes[number]).filter((one) => BIT * sideOf(one) >= side));
  const curve = curveOf(small.pixels.filter((_, at) => own.pixels[at]).sort(), level, light);
  return { worth: Math.min(weakest, ENOUGH) * (box[2] + box[3]), box, curve };
}

// Whether a thing is a sheet or a tile with something on it, or a large and empty one.
function carries(thing, [x, y, w, h]) {
  const filled = filledIn(thing);
  if (!isCarrier(thing, filled, [x, y, x + w, y + h])) return false;
  if (filled.pixels.reduce((sum, set, at) => sum + (set && !thing.pixels[at] ? 1 : 0), 0) > BAY) return true;
  return SHEET * Math.min(w, h) > Math.min(thing.width, thing.height) && isRectangle(filled);
}

// Grey levels as a clean drawing has them: black for most of the ink, and half of that at the level. ink: its levels, sorted.
function curveOf(ink, level, light) {
  const limit = LEVEL.reduce((sum, value) => sum + (value < level ? 1 : 0), 0);
  const full = ink[Math.floor((ink.length * (light ? 1 : 4)) / 5)];
  const span = 2 * Math.max(1, Math.abs(limit - full));
  return Uint8Array.from({ length: 256 }, (_, grey) => {
    const depth = (full < limit ? grey - full : full - grey) * 255;
    return Math.min(255, Math.max(0, Math.floor(depth / span)));
  });
}
