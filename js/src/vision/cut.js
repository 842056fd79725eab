// Cuts a symbol out of its picture: what a clean drawing is, dark ink on white, as `cut` in oneshot_runtime/vision/segment.py.

import { crop, roundHalfEven } from "./image.js";
import { spread } from "./morphology.js";
import { BICUBIC, BILINEAR, nearest, reduce, resize } from "./resample.js";

const MARGIN = 0.1; // white around a cut-out, as a share of the ink's longer side
const CUT_SIDE = 160; // longer side of the ink in a cut-out at most
const CUT_LEAST = 96; // cut-outs of less than half of that are made so large
const SPILL = 2; // pixels of the working picture around a part that still belong to its soft edge

// A symbol that was found in a picture whose working picture is `factor` times smaller.
export function cut(grey, factor, { ink, numbers, box }) {
  const { width, height } = ink.contrast;
  const [left, top] = [Math.max(0, box[0] - SPILL), Math.max(0, box[1] - SPILL)];
  const [right, bottom] = [Math.min(width, box[0] + box[2] + SPILL), Math.min(height, box[1] + box[3] + SPILL)];
  let own = ink.parts.mask(numbers, left, top, right, bottom);
  let depth = null;
  let rank = 9;
  if (ink.lined) {
    depth = crop(ink.contrast, left, top, right, bottom);
  } else {
    let piece = crop(grey, left * factor, top * factor, Math.min(grey.width, right * factor), Math.min(grey.height, bottom * factor));
    const longer = () => Math.max(piece.width, piece.height);
    piece = reduce(piece, Math.max(1, Math.ceil(longer() / CUT_SIDE)));
    if (longer() * 2 < CUT_LEAST) {
      const times = Math.ceil(CUT_LEAST / longer());
      piece = resize(piece, piece.width * times, piece.height * times, BICUBIC);
      rank = 6;
    }
    const paper = resize(crop(ink.paper, left, top, right, bottom), piece.width, piece.height, BILINEAR);
    own = nearest(own, piece.width, piece.height);
    depth = depthOf(piece, paper.pixels, ink.light);
  }
  const reach = spread(own, Math.max(1, roundHalfEven((SPILL * depth.width) / (right - left)))).pixels;
  depth.pixels = depth.pixels.map((level, at) => (reach[at] ? level : 0));
  return onWhite(depth, fullLevel(depth.pixels, own.pixels, rank));
}

// How much of each pixel ink covers: by the share of the paper's light that is missing, or by how much lighter it is.
function depthOf({ pixels, width, height }, paper, light) {
  const covered = pixels.map((level, at) => {
    if (light) return Math.max(0, level - paper[at]);
    return Math.floor((Math.max(0, paper[at] - level) * 255) / Math.max(paper[at], 1));
  });
  return { pixels: covered, width, height };
}

// The depth of full ink: so many tenths of the symbol's own pixels are no deeper.
function fullLevel(depth, own, rank) {
  const levels = depth.filter((_, at) => own[at]).sort();
  return levels.length ? Math.max(1, levels[Math.floor((levels.length * rank) / 10)]) : 1;
}

function onWhite({ pixels, width, height }, full) {
  const margin = Math.max(2, roundHalfEven(MARGIN * Math.max(width, height)));
  const sheet = { width: width + 2 * margin, height: height + 2 * margin };
  sheet.pixels = new Uint8Array(sheet.width * sheet.height).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const level = 255 - Math.min(255, Math.floor((pixels[y * width + x] * 255) / full));
      sheet.pixels[(y + margin) * sheet.width + x + margin] = level;
    }
  }
  return sheet;
}
