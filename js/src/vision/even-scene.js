// Ink on even paper, in its parts, as oneshot_runtime/vision/even_scene.py.

import { transposed } from "./image.js";
import { countLines } from "./lines.js";
import { isRectangle } from "./outline.js";
import { connectedParts } from "./parts.js";
import { sceneOf } from "./segment.js";
import { FEW_GROUPS } from "./ways.js";

const THIN = 10; // the shorter side of a picture over the width of pens that may write across all of it
const EDGE = 0.5; // share of an edge of the picture that a symbol's ink covers at most
const [SHEET, SHEET_SIDE, TILE_SIDE] = [0.55, 0.2, 0.42]; // what may be a sheet or a tile, and what likely is
const MOST_EVEN_PARTS = 60; // parts of ink on even paper above which they are noise, dots of a raster, or squared paper
const [SHADE, FULL] = [24, 0.5]; // the shorter side over the width of shadows, and share of ink that is as strong as the strongest
const RASTER_DOT = 4; // pixels of a raster's usual dot at most

const shorter = ({ width, height }) => Math.min(width, height);

// The parts of ink on even paper, whether they are what they seem, and whether that is likely.
export function evenScene(small, even) {
  const parts = connectedParts(even.ink, 128);
  const paper = { ...small, pixels: new Uint8Array(small.pixels.length).fill(even.paper) };
  const [peaks, means] = parts.levels(even.ink);
  const ink = { light: !even.dark, grey: small, paper, contrast: even.ink, limit: 128, parts, peaks, means, lined: false };
  const few = parts.areas.length <= MOST_EVEN_PARTS && 2 * even.other <= even.contrast && !even.isHazy() && !isShaded(ink);
  const filled = few ? filledSide(ink) : 0;
  const crossing = few ? crossings(even.ink) : 0;
  const thin = parts.pens.reduce((most, pen) => Math.max(most, pen)) * THIN <= 4 * shorter(small);
  const drawn = crossing === 0 || (crossing === 1 && thin && parts.areas.length <= FEW_GROUPS);
  const likely = few && drawn && filled < TILE_SIDE * shorter(small);
  const calm = few && !crossing;
  return { scene: sceneOf(ink, null), calm, trusted: calm && !filled, likely };
}

// Whether the largest thing in a scene may be a sheet, by its outline.
export function carries({ ink: { parts } }) {
  const largest = parts.areas.indexOf(parts.areas.reduce((most, area) => Math.max(most, area)));
  const [x, y, width, height] = parts.boxes[largest];
  const mask = parts.mask([largest], x, y, x + width, y + height);
  const gaps = connectedParts({ ...mask, pixels: mask.pixels.map((set) => 255 - set) }, 128);
  const outside = gaps.boxes.flatMap(([left, top, w, h], gap) =>
    left === 0 || top === 0 || left + w === width || top + h === height ? [gap] : [],
  );
  const out = gaps.mask(outside, 0, 0, width, height);
  return isRectangle({ ...out, pixels: out.pixels.map((set) => 255 - set) });
}

// Whether the ink is mostly dots: of a raster, or of noise.
export function isRaster({ parts: { areas } }) {
  const sorted = [...areas].sort((one, other) => one - other);
  return sorted.length > MOST_EVEN_PARTS && sorted[sorted.length >> 1] <= RASTER_DOT;
}

// Whether something wide comes in from the picture's border that is not as strong as ink: a shadow.
function isShaded({ parts, contrast: { pixels, width, height } }) {
  const wide = parts.areas.map((_, part) => part).filter((part) => {
    const [x, y, w, h] = parts.boxes[part];
    const isOutside = x === 0 || y === 0 || x + w === width || y + h === height;
    return isOutside && parts.pens[part] * SHADE > 4 * Math.min(height, width);
  });
  if (!wide.length) return false;
  let [all, full] = [0, 0];
  parts.mask(wide, 0, 0, width, height).pixels.forEach((set, at) => {
    if (!set) return;
    all += 1;
    if (pixels[at] === 255) full += 1;
  });
  return full / all < FULL;
}

// The shorter side of the widest thing that is full of ink from side to side: a sheet, a tile, a blot; 0 for none.
function filledSide({ parts, grey }) {
  const spans = parts.spans();
  let widest = 0;
  parts.boxes.forEach(([, , w, h], part) => {
    const area = parts.areas[part];
    const filled = area > SHEET * spans[part] && 5 * area > 2 * w * h && Math.min(w, h) >= SHEET_SIDE * shorter(grey);
    if (filled) widest = Math.max(widest, Math.min(w, h));
  });
  return widest;
}

// How often ink runs along an edge of the picture, or in a line from one to the other.
function crossings(ink) {
  const { pixels, width, height } = ink;
  const count = (length, at) => {
    let sum = 0;
    for (let place = 0; place < length; place++) if (pixels[at(place)] > 127) sum += 1;
    return sum / length;
  };
  const edges = [
    count(width, (x) => x),
    count(width, (x) => (height - 1) * width + x),
    count(height, (y) => y * width),
    count(height, (y) => (y + 1) * width - 1),
  ];
  let found = edges.filter((share) => share > EDGE).length;
  if (edges[2] && edges[3]) found += countLines(ink, 128);
  if (edges[0] && edges[1]) found += countLines(transposed(ink), 128);
  return found;
}
