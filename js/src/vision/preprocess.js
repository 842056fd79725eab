// From a picture to the model's canvas, byte for byte as oneshot_runtime/vision/preprocess.py; docs/bundle.md has the steps.

import { inkBox } from "./clean.js";
import { crop, roundHalfEven } from "./image.js";
import { readings, wholePicture } from "./readings.js";
import { BILINEAR, resize } from "./resample.js";

const [PEN_EDGE, PEN_CORNER] = [154, 90]; // in 1/256

export const PREPROCESS_VERSION = 2;

// The ways to read a picture, likeliest first, see readings.js; with the fit "frame" there is one. spec: "preprocess" of the manifest.
// Throws ImageError where it shows no ink.
export function waysToRead(picture, spec) {
  return spec.fit === "ink" ? readings(picture) : [wholePicture(picture)];
}

// The canvas Uint8Array(spec.height * spec.width) of one way to read a picture, ink towards 255, paper 0.
export function canvasOf({ ink, bounds }, spec) {
  if (spec.fit === "frame") return resize(ink, spec.width, spec.height, BILINEAR).pixels;
  return fitInk(ink, bounds ?? inkBox(ink), spec);
}

function fitInk(ink, bounds, spec) {
  const box = crop(ink, ...bounds);
  const floor = spec.min_ink * Math.max(ink.width, ink.height);
  const scale = Math.min(
    (spec.ink_share * spec.height) / Math.max(box.height, floor),
    (spec.ink_share * spec.width) / Math.max(box.width, floor),
  );
  const [height, width] = [box.height, box.width].map((side) => Math.max(1, roundHalfEven(side * scale)));
  const fitted = resize(box, width, height, BILINEAR);
  const canvas = new Uint8Array(spec.height * spec.width);
  const [top, left] = [(spec.height - height) >> 1, (spec.width - width) >> 1];
  for (let y = 0; y < height; y++) {
    canvas.set(fitted.pixels.subarray(y * width, (y + 1) * width), (top + y) * spec.width + left);
  }
  return widen(canvas, spec.width, spec.height, roundHalfEven(256 * spec.thin));
}

// Go over thin strokes with a soft pen, the harder the thinner they are; thin in 1/256 pixel.
function widen(canvas, width, height, thin) {
  const strength = thin ? Math.min(256, thin - strokeWidth(canvas, width, height)) : 0;
  if (strength <= 0) return canvas;
  const [edgePen, cornerPen] = [(PEN_EDGE * strength) >> 8, (PEN_CORNER * strength) >> 8];
  const level = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : canvas[y * width + x]);
  return canvas.map((own, at) => {
    const x = at % width;
    const y = (at - x) / width;
    const edge = Math.max(level(x - 1, y), level(x + 1, y), level(x, y - 1), level(x, y + 1));
    const corner = Math.max(level(x - 1, y - 1), level(x + 1, y - 1), level(x - 1, y + 1), level(x + 1, y + 1));
    const ink = Math.max((edge * edgePen) >> 8, (corner * cornerPen) >> 8, own);
    return Math.min(255, ink + ((ink * strength) >> 8));
  });
}

// Mean width of the strokes in 1/256 pixel. The square root is exact for canvases of up to 512 pixels a side.
function strokeWidth(canvas, width, height) {
  let [area, across, along] = [0, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const own = canvas[y * width + x];
      area += own;
      if (x) across += Math.abs(own - canvas[y * width + x - 1]);
      if (y) along += Math.abs(own - canvas[(y - 1) * width + x]);
    }
  }
  const outline = Math.floor(Math.sqrt(across * across + along * along));
  return Math.floor((256 * 5 * area) / (3 * Math.max(1, outline)));
}
