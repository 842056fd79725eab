// A sheet that lies on something rough, as oneshot_runtime/vision/sheet_on_desk.py.

import { crop } from "./image.js";
import { closing, spread } from "./morphology.js";
import { convexHull, countSet } from "./outline.js";
import { connectedParts } from "./parts.js";
import { nearest, reduce } from "./resample.js";
import { working } from "./segment.js";

const [BLOCKS, BLOCK] = [64, 4]; // blocks along the shorter side of the picture, and pixels of each, after the picture is reduced
const SMOOTH = [10, 20]; // grey levels within a block up to which it is smooth: on paper, and on noisy paper
const PEN = 18; // the shorter side of a picture over the width of pens and rules that are taken off the paper
const REGIONS = 3; // smooth regions that are looked at, largest first
const [SHARE, SOLID] = [0.05, 0.6]; // share of the picture that a sheet takes, and share of the sheet that is smooth, at least
const [ROUGH, AROUND] = [0.3, 0.1]; // share of what surrounds the sheet that is rough, and of the picture that surrounds it
const [STEP, BESIDE] = [32, [2, 5]]; // grey levels from the sheet to what lies beside it, so many blocks away
const [SIDES, EDGE] = [3, 0.6]; // sides of the sheet that are seen at least, and share of its outline that is such an edge

// Where ink is looked for in a picture: { grey, left, top, working, factor }, see View in sheet_on_desk.py.
export function viewOf(grey) {
  const sheet = findSheet(grey);
  if (!sheet) {
    const [small, factor] = working(grey);
    return { grey, left: 0, top: 0, working: small, factor };
  }
  const [left, top] = sheet.box;
  const part = crop(grey, ...sheet.box);
  const [small, factor] = working(part);
  return { grey: part, left, top, working: alone(sheet, small), factor };
}

// The sheet's part of a picture, in any size, with paper where the sheet is not.
export function alone({ inside, levels }, picture) {
  const { width, height, pixels } = picture;
  const mask = nearest(inside, width, height).pixels;
  const paper = nearest(levels, width, height).pixels;
  return { width, height, pixels: pixels.map((level, at) => (mask[at] ? level : paper[at])) };
}

// { box, inside, levels }, see Sheet in sheet_on_desk.py; null where there is none.
export function findSheet(grey) {
  const factor = Math.floor(Math.min(grey.width, grey.height) / (BLOCKS * BLOCK));
  if (!factor) return null;
  const [width, height] = [grey.width, grey.height].map((side) => Math.floor(side / (factor * BLOCK)) * BLOCK);
  const reduced = crop(factor === 1 ? grey : reduce(grey, factor), 0, 0, width, height);
  const { levels, ranges } = blocksOf(reduced);
  const drawn = ranges.pixels.map((range) => (range > Math.max(...SMOOTH) ? 1 : 0));
  const closed = closing(reduced, Math.floor(Math.min(width, height) / PEN) | 1);
  for (const plane of [ranges, blocksOf(closed).ranges]) {
    for (const limit of SMOOTH) {
      const smooth = { ...plane, pixels: plane.pixels.map((range) => (range <= limit ? 255 : 0)) };
      let best = { edges: 0 };
      for (const inside of smoothRegions(smooth)) {
        if (!inside.pixels.some((set, at) => set && drawn[at])) continue;
        const edges = edgesOf(inside, smooth, levels);
        if (edges > best.edges) best = { edges, inside };
      }
      if (best.edges) return sheetOf(best.inside, levels, factor * BLOCK);
    }
  }
  return null;
}

// Of each block the mean level, rounded down, and the levels from its darkest to its lightest pixel, as two images.
function blocksOf({ pixels, width, height }) {
  const [columns, rows] = [width / BLOCK, height / BLOCK];
  const [levels, ranges] = [new Uint8Array(columns * rows), new Uint8Array(columns * rows)];
  for (let block = 0; block < levels.length; block++) {
    const start = Math.floor(block / columns) * BLOCK * width + (block % columns) * BLOCK;
    let [sum, low, high] = [0, 255, 0];
    for (let y = 0; y < BLOCK; y++) {
      for (let x = 0; x < BLOCK; x++) {
        const level = pixels[start + y * width + x];
        sum += level;
        if (level < low) low = level;
        if (level > high) high = level;
      }
    }
    levels[block] = Math.floor(sum / BLOCK ** 2);
    ranges[block] = high - low;
  }
  return { levels: { pixels: levels, width: columns, height: rows }, ranges: { pixels: ranges, width: columns, height: rows } };
}

// The largest regions of smooth blocks that may be a sheet, its ink included, as masks.
function* smoothRegions(smooth) {
  const { width, height, pixels } = smooth;
  const broken = spread({ ...smooth, pixels: pixels.map((set) => 255 - set) }, 1);
  const parts = connectedParts({ ...smooth, pixels: broken.pixels.map((set) => 255 - set) }, 128);
  const numbers = parts.areas.map((_, part) => part).sort((one, other) => parts.areas[other] - parts.areas[one]);
  for (const number of numbers.slice(0, REGIONS)) {
    if (2 * parts.areas[number] < SHARE * pixels.length) break;
    const hull = convexHull(parts.mask([number], 0, 0, width, height));
    const wider = spread(hull, 1).pixels;
    hull.pixels.forEach((set, at) => { if (!set && pixels[at]) hull.pixels[at] = wider[at]; });
    const [all, calm] = [hull.pixels, hull.pixels.filter((set, at) => set && pixels[at])].map((part) => countSet(part));
    const share = all / pixels.length;
    if (SHARE <= share && share <= 1 - AROUND && calm >= SOLID * all) yield hull;
  }
}

// The share of a region's outline beside which it is rough, or darker; 0 where it has no such edge to three sides.
function edgesOf(inside, smooth, { pixels: levels, width, height }) {
  let [around, rough] = [0, 0];
  inside.pixels.forEach((set, at) => {
    if (set) return;
    around += 1;
    if (!smooth.pixels[at]) rough += 1;
  });
  const isRough = rough / around >= ROUGH;
  const clamped = (value, length) => Math.min(length - 1, Math.max(0, value));
  let [outline, edge, sides] = [0, 0, 0];
  for (const [down, right] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    let [ends, beside] = [0, 0];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [nextY, nextX] = [y + down, x + right];
        const goesOn = nextY >= 0 && nextX >= 0 && nextY < height && nextX < width && inside.pixels[nextY * width + nextX];
        if (!inside.pixels[y * width + x] || goesOn) continue;
        ends += 1;
        const isEdge = BESIDE.every((far) => {
          const at = clamped(y + far * down, height) * width + clamped(x + far * right, width);
          const step = levels[y * width + x] - levels[at];
          return isRough ? Math.abs(step) >= STEP || !smooth.pixels[at] : step >= STEP;
        });
        if (isEdge) beside += 1;
      }
    }
    outline += ends;
    edge += beside;
    if (beside >= EDGE * ends) sides += 1;
  }
  return sides >= SIDES ? edge / outline : 0;
}

function sheetOf(inside, levels, block) {
  let [left, top, right, bottom] = [inside.width, inside.height, 0, 0];
  inside.pixels.forEach((set, at) => {
    if (!set) return;
    const [x, y] = [at % inside.width, Math.floor(at / inside.width)];
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x + 1), Math.max(bottom, y + 1)];
  });
  const mask = crop(inside, left, top, right, bottom);
  const paper = crop(levels, left, top, right, bottom);
  for (let y = 0; y < mask.height; y++) {
    const row = mask.pixels.subarray(y * mask.width, (y + 1) * mask.width);
    const own = paper.pixels.slice(y * mask.width, (y + 1) * mask.width);
    const [first, last] = [row.findIndex((set) => set), row.findLastIndex((set) => set)];
    row.forEach((_, x) => { paper.pixels[y * mask.width + x] = own[Math.min(last, Math.max(first, x))]; });
  }
  return { box: [left, top, right, bottom].map((side) => side * block), inside: mask, levels: paper };
}
