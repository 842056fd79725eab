// A symbol cut out of a photograph by hand, with halves of its neighbours, as oneshot_runtime/vision/loose_crop.py.

import { sideOf } from "./grouping.js";
import { histogram, ranked } from "./image.js";
import { runsOf } from "./ink.js";
import { connectedParts } from "./parts.js";
import { reduce } from "./resample.js";
import { groupSymbols } from "./rows.js";
import { foundOf } from "./segment.js";

const [LARGEST, SIDE, LEAST] = [2048, 256, 24]; // longer side of a crop, and of what is looked at; levels between ink and paper
const [LARGE, NEIGHBOUR] = [0.8, 0.25]; // side of what is paper or a frame, and of a neighbour
const SMALL = 0.2; // the symbol's longer side as a share of the picture's shorter side, at least
const [MOST, MOST_RUNS] = [60, 3000]; // parts of a picture of few symbols, and runs of pixels, at most

// The symbol in the middle of a picture whose edges cut others off, and by how much smaller it was looked at; else null.
export function middleSymbol(grey) {
  if (Math.max(grey.width, grey.height) > LARGEST) return null;
  const factor = Math.ceil(Math.max(grey.width, grey.height) / SIDE);
  const small = factor === 1 ? grey : reduce(grey, factor);
  const counts = histogram(small.pixels);
  const level = levelBetween(counts);
  const tones = [middleTone(counts.slice(0, level + 1)), level + 1 + middleTone(counts.slice(level + 1))];
  if (tones[1] - tones[0] < LEAST) return null;
  if (runsOf(small, level + 1) > MOST_RUNS) return null;
  const found = [false, true].map((light) => middleOf(inkOf(small, light, level, tones))).filter((one) => one !== null);
  if (!found.length) return null;
  return [found.reduce((best, one) => (one.side > best.side ? one : best)), factor];
}

// The level that parts a picture's pixels best in two (Otsu, 1979).
function levelBetween(counts) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const all = counts.reduce((sum, count, level) => sum + count * level, 0);
  let [below, sum, best, most] = [0, 0, 0, 0];
  counts.forEach((count, level) => {
    below += count;
    sum += count * level;
    const [apart, weight] = [total * sum - all * below, below * (total - below)];
    const worth = weight > 0 ? (apart * apart) / weight : 0;
    if (worth > most) [best, most] = [level, worth];
  });
  return best;
}

// The level that half of the pixels exceed; of none, 0.
function middleTone(counts) {
  const rank = Math.floor(counts.reduce((sum, count) => sum + count, 0) / 2);
  return ranked(counts, rank) % counts.length;
}

function inkOf(grey, light, level, tones) {
  const image = (pixels) => ({ pixels, width: grey.width, height: grey.height });
  const contrast = image(grey.pixels.map((tone) => (tone > level === light ? 255 : 0)));
  const paper = image(new Uint8Array(grey.pixels.length).fill(tones[light ? 0 : 1]));
  const parts = connectedParts(contrast, 128);
  const [peaks, means] = parts.levels(contrast);
  return { light, grey, paper, contrast, limit: 128, parts, peaks, means, lined: false };
}

// The symbol that is nearest to the middle; null where none of its neighbours is cut off.
function middleOf(ink) {
  const { grey: { width, height }, parts: { boxes, areas, pens } } = ink;
  const narrow = Math.min(width, height);
  const isCut = boxes.map(([x, y, w, h]) => x === 0 || y === 0 || x + w === width || y + h === height);
  const numbers = boxes.map((_, part) => part)
    .filter((part) => areas[part] >= 4 && !(isCut[part] && sideOf(boxes[part]) >= LARGE * narrow));
  const cut = numbers.filter((part) => isCut[part]);
  if (!cut.length || numbers.length > MOST) return null;
  const whole = groupSymbols(numbers.map((part) => boxes[part]))
    .map((group) => group.map((at) => numbers[at]).filter((part) => !isCut[part]))
    .filter((group) => group.length)
    .map((group) => foundOf(ink, group))
    .filter((one) => one.side >= SMALL * narrow);
  if (!whole.length) return null;
  const off = ({ box: [x, y, w, h] }) => Math.max(Math.abs(2 * x + w - width), Math.abs(2 * y + h - height));
  const nearest = whole.reduce((best, one) => (off(one) < off(best) ? one : best));
  const pen = Math.max(...nearest.numbers.map((part) => pens[part]));
  const isNeighbour = (part) =>
    sideOf(boxes[part]) >= NEIGHBOUR * nearest.side && pens[part] <= 2 * pen && pen <= 2 * pens[part];
  return cut.some(isNeighbour) ? nearest : null;
}
