// Ink that is as light as its paper, seen along the line between the two colours, as oneshot_runtime/vision/colours.py.

import { reduce } from "./resample.js";

const LEAST = 30; // distance of two colours below which they are one
const TIMES = 3; // how much farther apart ink and paper are in colour than in lightness, for colour to count
const FEWEST = 2000; // one pixel of so many, of the small picture, is of the ink's colour at least
const GREY = [19595, 38470, 7471]; // parts of lightness, in 1/65536
const SMALL = 256;
const PAPER = 192; // the level that paper gets

// A picture's levels along the line from its paper's colour to the farthest, or null where colour shows no more, as in one
// that has none.
// planes: images of its red, green and blue. lightness: grey levels between ink and paper; null to take the farthest, light and
// shadow included.
export function colourPlane(planes, lightness) {
  const { width, height } = planes[0];
  const small = planes.map((plane) => reduce(plane, Math.max(1, Math.ceil(Math.max(width, height) / SMALL))).pixels);
  const count = small[0].length;
  if (small[0].every((level, at) => level === small[1][at] && level === small[2][at])) return null;
  const paper = small.map((pixels) => pixels.slice().sort()[count >> 1]);
  const distance = Array.from({ length: count }, (_, at) => small.reduce((sum, pixels, band) => sum + (pixels[at] - paper[band]) ** 2, 0));
  const order = distance.map((_, at) => at).sort((one, other) => distance[one] - distance[other]);
  const few = Math.max(1, Math.floor(count / FEWEST));
  const far = order.slice(-few);
  const axis = small.map((pixels, band) => pixels[far[far.length >> 1]] - paper[band]);
  const length = Math.floor(Math.sqrt(axis.reduce((sum, part) => sum + part * part, 0)));
  if (length < Math.max(LEAST, TIMES * (lightness ?? farthest(small, paper, few)))) return null;
  const pixels = new Uint8Array(width * height);
  for (let at = 0; at < pixels.length; at++) {
    const along = planes.reduce((sum, plane, band) => sum + (plane.pixels[at] - paper[band]) * axis[band], 0);
    pixels[at] = Math.min(255, Math.max(0, PAPER - Math.floor((along * 160) / (length * length))));
  }
  return { pixels, width, height };
}

// The grey levels from the paper's that one of the `few` farthest pixels has at least.
function farthest(small, paper, few) {
  const off = Float64Array.from(small[0], (_, at) => {
    return Math.abs(small.reduce((sum, pixels, band) => sum + (pixels[at] - paper[band]) * GREY[band], 0));
  });
  return off.sort()[off.length - few] >> 16;
}
