// From decoded pixels to a picture: { grey, colours }, where colours() gives images of its red, green and blue, no longer than
// 1,024 pixels, for one that has any. As oneshot_runtime/vision/decode.py, from where its decoder has done its work.

import { ImageError } from "../errors.js";
import { reduce } from "./resample.js";
import { laidOnPaper } from "./transparency.js";

const COLOUR_SIDE = 1024;
const MAX_PIXELS = 64_000_000;

// image: { data, width, height } with one byte a pixel (grey), three (RGB) or four (RGBA, not premultiplied), such as ImageData.
// Throws ImageError for anything else.
export function pictureOf({ data, width, height }) {
  const bytes = data.length / (width * height);
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1 || ![1, 3, 4].includes(bytes)) {
    throw new ImageError(`expected 1, 3 or 4 bytes for each of ${height}x${width} pixels, got ${data.length} bytes`);
  }
  if (width * height > MAX_PIXELS) {
    throw new ImageError(`the image has ${height}x${width} pixels, more than the ${MAX_PIXELS} that are read: scale it down`);
  }
  if (bytes === 1) return { grey: { pixels: Uint8Array.from(data), width, height }, colours: null };
  const grey = { pixels: lightness([0, 1, 2].map((place) => band(data, bytes, place))), width, height };
  if (bytes === 4) {
    const alpha = band(data, 4, 3);
    if (alpha.some((own) => own !== 255)) return { grey: laidOnPaper(grey, alpha), colours: null };
  }
  const factor = Math.ceil(Math.max(width, height) / COLOUR_SIDE);
  const colours = () => [0, 1, 2].map((place) => reduce({ pixels: band(data, bytes, place), width, height }, factor));
  return { grey, colours };
}

// The grey levels of a picture's red, green and blue levels.
export function lightness([red, green, blue]) {
  return red.map((level, at) => (19595 * level + 38470 * green[at] + 7471 * blue[at] + 0x8000) >> 16);
}

function band(data, bytes, place) {
  const pixels = new Uint8Array(data.length / bytes);
  for (let at = 0; at < pixels.length; at++) pixels[at] = data[at * bytes + place];
  return pixels;
}
