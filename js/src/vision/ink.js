// Ink in a picture, darker or lighter than the paper around it, as oneshot_runtime/vision/ink.py.

import { histogram, ranked, roundHalfEven, transposed } from "./image.js";
import { countLines, withoutLines } from "./lines.js";
import { closing, opening } from "./morphology.js";
import { connectedParts } from "./parts.js";

const DARK = 32; // grey levels added before the logarithm
const FAINTEST = 10; // contrast of the faintest ink, above that of what most of the picture has
const NOISE = 5; // ink stands out from the paper by so many times its unevenness
const STRONG = 0.45; // share of the strongest contrast that ink has
const LEVELS = 3; // how often ink is looked for that is fainter than the faintest so far
const MOST_RUNS = 40000; // runs of pixels that are joined to parts; a mask of more is noise

// A grey level's logarithm, from 0 for black to 255 for white.
export const LOGARITHM = Uint8Array.from({ length: 256 }, (_, level) =>
  roundHalfEven((255 * Math.log((level + DARK) / DARK)) / Math.log((255 + DARK) / DARK)));

// The ink of a picture that is darker, or `light`er, than its paper; strongest first, then what is fainter. window: pixels, odd;
// what is wider is paper. Each is { light, grey, paper, contrast, limit, parts, peaks, means, lined }, see Ink in ink.py.
export function findInk(grey, light, window) {
  const { paper, contrast } = contrastToPaper(grey, light, window);
  let faintest = floorOf(contrast.pixels);
  while (runsOf(contrast, faintest) > MOST_RUNS) faintest += faintest >> 1;
  const { plane, lined } = withoutLines(contrast, faintest);
  const found = [];
  const seen = (from, limit, isLined) => {
    const parts = connectedParts(from, limit);
    const [peaks, means] = parts.levels(from);
    found.push({ light, grey, paper, contrast: from, limit, parts, peaks, means, lined: isLined });
  };
  const strong = lined ? aboveLines(contrast, faintest) : 0;
  if (strong) seen(contrast, strong, false);
  let peaks = peaksOf(plane, faintest);
  while (peaks.length && found.length < LEVELS) {
    const limit = Math.max(faintest, roundHalfEven(STRONG * peaks[0]));
    seen(plane, limit, lined);
    peaks = peaks.filter((peak) => peak < limit);
  }
  return found;
}

// The paper's level around each pixel, and the pixel's contrast to it.
export function contrastToPaper(grey, light, window) {
  const paper = (light ? opening : closing)(grey, window);
  const pixels = grey.pixels.map((level, at) => Math.abs(LOGARITHM[level] - LOGARITHM[paper.pixels[at]]));
  return { paper, contrast: { ...grey, pixels } };
}

// The limit of ink that is so much stronger than the lines that they need not be taken out; 0 where it is not.
function aboveLines(contrast, faintest) {
  const peaks = peaksOf(contrast, faintest);
  const limit = peaks.length ? Math.max(faintest, roundHalfEven(STRONG * peaks[0])) : 0;
  return limit && !(countLines(contrast, limit) || countLines(transposed(contrast), limit)) ? limit : 0;
}

// How many runs of pixels begin behind the first column.
export function runsOf({ pixels, width }, limit) {
  let count = 0;
  for (let at = 0; at < pixels.length; at++) {
    if (at % width && pixels[at] >= limit && pixels[at - 1] < limit) count += 1;
  }
  return count;
}

// The faintest contrast that may be ink: above what most of the picture has, and how uneven that is.
export function floorOf(contrast) {
  const [middle, quarter] = quarters(contrast, 2, 3);
  return Math.min(255, middle + Math.max(FAINTEST, NOISE * (quarter - middle)));
}

// The contrast that no more than half of a picture exceeds.
export const usualOf = (contrast) => quarters(contrast, 2)[0];

function quarters(contrast, ...shares) {
  const counts = histogram(contrast);
  return shares.map((share) => ranked(counts, Math.floor((contrast.length * share) / 4)));
}

// The strongest contrast of each thing that is large enough to be a symbol, highest first.
function peaksOf(contrast, faintest) {
  const { width, height } = contrast;
  const parts = connectedParts(contrast, faintest);
  const [peaks] = parts.levels(contrast);
  const least = Math.max(3, Math.floor(Math.min(height, width) / 64));
  const large = parts.boxes.map(([, , w, h]) => Math.max(w, h) >= least);
  const inside = parts.boxes.map(([x, y, w, h]) => x > 0 && y > 0 && x + w < width && y + h < height);
  let kept = peaks.filter((_, part) => large[part] && inside[part]);
  if (!kept.length) kept = peaks.filter((_, part) => large[part]);
  return [...new Set(kept)].sort((one, other) => other - one);
}
