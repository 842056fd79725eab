// Turns a drawing into the model's canvas, byte for byte as oneshot_runtime/vision/preprocess.py does; docs/bundle.md has the steps.

import { flattenPaper } from "./paper.js";
import { BILINEAR, reduce, resize } from "./resample.js";

const MIN_CONTRAST = 24; // grey levels between ink and paper
const EVEN_PAPER = 8; // spread between the border's quartiles
const MAX_SIDE = 512;
const [PEN_EDGE, PEN_CORNER] = [154, 90]; // in 1/256

export class ImageError extends Error {}

// image: { data, width, height } with one byte a pixel (grey), three (RGB) or four (RGBA), such as ImageData. spec: "preprocess" of
// the manifest. Returns Uint8Array(spec.height * spec.width), ink towards 255, paper 0. Throws ImageError when there is no ink.
export function preprocess(image, spec) {
  const ink = findInk(reduced(toGrey(image)));
  return spec.fit === "frame" ? resize(ink, spec.width, spec.height, BILINEAR).pixels : fitInk(ink, spec);
}

function toGrey({ data, width, height }) {
  const bytes = data.length / (width * height);
  if (![1, 3, 4].includes(bytes)) {
    throw new ImageError(`expected 1, 3 or 4 bytes for each of ${height}x${width} pixels, got ${data.length} bytes`);
  }
  const pixels = new Uint8Array(width * height);
  if (bytes === 1) {
    pixels.set(data);
  } else {
    for (let at = 0; at < pixels.length; at++) {
      const red = at * bytes;
      pixels[at] = (19595 * data[red] + 38470 * data[red + 1] + 7471 * data[red + 2] + 0x8000) >> 16;
    }
  }
  return { pixels: bytes === 4 ? onPaper(pixels, data) : pixels, width, height };
}

// Lay a transparent drawing on white paper, or on black when what is visible of it is light.
function onPaper(pixels, data) {
  let [visible, light] = [0, 0];
  for (let at = 0; at < pixels.length; at++) {
    visible += data[at * 4 + 3];
    light += pixels[at] * data[at * 4 + 3];
  }
  if (visible === 255 * pixels.length) return pixels;
  const paper = light > 127 * visible ? 0 : 255;
  return pixels.map((level, at) => {
    const alpha = data[at * 4 + 3];
    return Math.floor((level * alpha + paper * (255 - alpha) + 127) / 255);
  });
}

function reduced(grey) {
  const longer = Math.max(grey.width, grey.height);
  return longer <= MAX_SIDE ? grey : reduce(grey, Math.ceil(longer / MAX_SIDE));
}

// The ink's intensity: 0 paper, 255 full ink, whichever of the two was darker. The paper is the border's median level.
function findInk(grey) {
  const { pixels, width, height } = grey;
  const border = new Uint8Array(2 * (width + height));
  border.set(pixels.subarray(0, width));
  border.set(pixels.subarray((height - 1) * width), width);
  for (let y = 0; y < height; y++) {
    border[2 * width + y] = pixels[y * width];
    border[2 * width + height + y] = pixels[(y + 1) * width - 1];
  }
  border.sort();
  const quarter = border.length >> 2;
  if (border[border.length - 1 - quarter] - border[quarter] > EVEN_PAPER) return stretch(flattenPaper(grey, border), 0);
  return stretch(grey, border[border.length >> 1]);
}

// Map the paper's level to 0 and the ink's to 255, with a soft threshold between 1/4 and 3/4 of the contrast.
function stretch({ pixels, width, height }, paper) {
  let [low, high] = [255, 0];
  for (const level of pixels) {
    if (level < low) low = level;
    if (level > high) high = level;
  }
  const contrast = Math.max(paper - low, high - paper);
  if (contrast < MIN_CONTRAST) {
    throw new ImageError(`no symbol found: the picture is blank (its ${height}x${width} pixels stay within ${contrast} of 255 ` +
      `grey levels of the paper, and ink needs ${MIN_CONTRAST})`);
  }
  const side = paper - low >= high - paper ? 1 : -1;
  const table = Uint8Array.from({ length: 256 }, (_, level) => {
    const value = Math.floor((((paper - level) * side * 4 - contrast) * 255) / (2 * contrast));
    return Math.min(255, Math.max(0, value));
  });
  return { pixels: pixels.map((level) => table[level]), width, height };
}

function fitInk(ink, spec) {
  const box = inkBox(ink);
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

// The part of the picture that holds all pixels which are more ink than paper.
function inkBox({ pixels, width, height }) {
  let [top, bottom, left, right] = [height, 0, width, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[y * width + x] < 128) continue;
      if (y < top) top = y;
      bottom = y + 1;
      if (x < left) left = x;
      if (x >= right) right = x + 1;
    }
  }
  const box = { width: right - left, height: bottom - top };
  box.pixels = new Uint8Array(box.width * box.height);
  for (let y = 0; y < box.height; y++) {
    box.pixels.set(pixels.subarray((top + y) * width + left, (top + y) * width + right), y * box.width);
  }
  return box;
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

// As Python's round: halves go to the even neighbour.
export function roundHalfEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}
