// Evens out photographed paper, byte for byte as oneshot_runtime/vision/background.py does. Drawings on even paper never come here.

import { BICUBIC, resize } from "./resample.js";

const TILES = 8; // along the longer side

// How far each pixel departs from the paper around it, towards the ink's side; border: the levels at the edges, sorted.
export function flattenPaper(grey, border) {
  const { width, height } = grey;
  const pixels = inkIsDark(grey.pixels, border[border.length >> 1]) ? grey.pixels : grey.pixels.map((level) => 255 - level);
  const paper = paperLevel({ pixels, width, height });
  const depth = pixels.map((level, at) => Math.max(0, paper(at) - level));
  return { pixels: withoutSpecks(depth, width, height), width, height };
}

function inkIsDark(pixels, paper) {
  const sorted = pixels.slice().sort();
  return paper - percentile(sorted, 1) >= percentile(sorted, 99) - paper;
}

// Interpolated between the two nearest of the sorted levels, and cut to an integer.
function percentile(sorted, percent) {
  const place = (sorted.length - 1) * (percent / 100);
  const low = Math.floor(place);
  const share = place - low;
  const [before, after] = [sorted[low], sorted[Math.min(low + 1, sorted.length - 1)]];
  const step = after - before;
  return Math.trunc(share >= 0.5 ? after - step * (1 - share) : before + step * share);
}

// The local level of light paper: a tile's 80th percentile, interpolated. Gives a function of a pixel's place.
function paperLevel({ pixels, width, height }) {
  const tile = Math.max(2, Math.ceil(Math.max(width, height) / TILES));
  const [columns, rows] = [Math.ceil(width / tile), Math.ceil(height / tile)];
  const levels = new Uint8Array(columns * rows);
  const inside = new Uint8Array(tile * tile);
  for (let place = 0; place < levels.length; place++) {
    const [top, left] = [Math.floor(place / columns) * tile, (place % columns) * tile];
    for (let at = 0; at < inside.length; at++) {
      const y = Math.min(height - 1, top + Math.floor(at / tile));
      inside[at] = pixels[y * width + Math.min(width - 1, left + (at % tile))];
    }
    levels[place] = inside.slice().sort()[Math.floor(tile * tile * 0.8)];
  }
  const whole = resize({ pixels: levels, width: columns, height: rows }, columns * tile, rows * tile, BICUBIC);
  return (at) => whole.pixels[Math.floor(at / width) * whole.width + (at % width)];
}

// Limit every pixel to the strongest of its eight neighbours: noise of one pixel goes, strokes stay.
function withoutSpecks(depth, width, height) {
  return depth.map((own, at) => {
    const x = at % width;
    const y = (at - x) / width;
    let strongest = 0;
    for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
      for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
        if (row !== y || column !== x) strongest = Math.max(strongest, depth[row * width + column]);
      }
    }
    return Math.min(own, strongest);
  });
}
