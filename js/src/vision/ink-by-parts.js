// Ink by its parts: a pixel may be faint where its part is strong somewhere, as oneshot_runtime/vision/ink_by_parts.py.

import { roundHalfEven } from "./image.js";
import { contrastToPaper, floorOf, runsOf, usualOf } from "./ink.js";
import { withoutLines } from "./lines.js";
import { connectedParts } from "./parts.js";

const [FAINTEST, PEAK] = [12, 2]; // contrast from which a pixel may be ink; a part of ink reaches so many times that
const [STRONG, STRONGEST] = [0.45, 0.8]; // of the strongest ink's contrast a part reaches so much; and how much ink is no stronger
const SOFT = 0.2; // share of the strongest ink's contrast from which a pixel may be ink
const MOST_RUNS = 12000; // runs of pixels that are joined to parts; a mask of more is noise
const [PRINT, MOST_OF_PRINT] = [64, 60000]; // on paper without noise, ink of that contrast is print, which has more runs
const LONGEST = 0.85; // share of the shorter side that a part takes at most

// Each pixel with a quarter of each neighbour's level in both directions.
export function smoothed(grey) {
  return smoothedAlong(smoothedAlong(grey, true), false);
}

function smoothedAlong({ pixels, width, height }, down) {
  const result = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const before = down ? (y ? at - width : at) : x ? at - 1 : at;
      const after = down ? (y < height - 1 ? at + width : at) : x < width - 1 ? at + 1 : at;
      result[at] = (pixels[before] + 2 * pixels[at] + pixels[after] + 2) >> 2;
    }
  }
  return { pixels: result, width, height };
}

// { ink, usual }: the ink of one kind in a smooth picture, and the contrast that most of the picture has; null where there is none.
export function inkByParts(grey, light, window) {
  const { paper, contrast: seen } = contrastToPaper(grey, light, window);
  const usual = usualOf(seen.pixels);
  let faintest = Math.min(FAINTEST, floorOf(seen.pixels));
  while (runsOf(seen, faintest) > (usual < FAINTEST && faintest >= PRINT ? MOST_OF_PRINT : MOST_RUNS)) faintest += faintest >> 2;
  let [contrast, lined, strongest] = [seen, false, 0];
  let [limit, parts, peaks, means, mayBe] = [0];
  for (let pass = 0; pass < 2; pass++) {
    limit = Math.max(faintest, roundHalfEven(SOFT * strongest));
    if (!lined) ({ plane: contrast, lined } = withoutLines(contrast, limit));
    parts = connectedParts(contrast, limit);
    [peaks, means] = parts.levels(contrast);
    mayBe = saneOf(parts, contrast).filter((part) => peaks[part] >= PEAK * limit);
    if (!mayBe.length) return null;
    strongest = strongestOf(mayBe, parts.areas, peaks);
  }
  const kept = mayBe.filter((part) => peaks[part] >= STRONG * strongest);
  const of = (values) => kept.map((part) => values[part]);
  const ink = { light, grey, paper, contrast, limit, parts: parts.only(kept), peaks: of(peaks), means: of(means), lined };
  return { ink, usual };
}

// The parts that the picture's border does not cut off, and are neither specks nor too long.
function saneOf({ boxes, areas }, { width, height }) {
  return areas.map((_, part) => part).filter((part) => {
    const [x, y, w, h] = boxes[part];
    const inside = x > 0 && y > 0 && x + w < width && y + h < height;
    return inside && areas[part] >= 4 && Math.max(w, h) <= LONGEST * Math.min(height, width);
  });
}

function strongestOf(numbers, areas, peaks) {
  const order = [...numbers].sort((one, other) => peaks[one] - peaks[other]);
  const total = order.reduce((sum, part) => sum + areas[part] * peaks[part], 0);
  let weight = 0;
  return peaks[order.find((part) => (weight += areas[part] * peaks[part]) >= STRONGEST * total)];
}
