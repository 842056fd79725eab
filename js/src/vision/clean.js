// Clean drawings: evenly lit paper, and ink that stands out from it everywhere alike, as oneshot_runtime/vision/clean.py.

import { ImageError } from "../errors.js";
import { crop, histogram } from "./image.js";
import { isConvex } from "./outline.js";
import { reduce } from "./resample.js";

const MIN_CONTRAST = 24; // grey levels between ink and paper
const EVEN_PAPER = 8; // spread between the border's quartiles
const MAX_SIDE = 512;
const LARGE = 8; // the ink's longer side is one part in so many of the picture's, at least
const [FILLED, TURNED, CONVEX] = [0.5, 0.4, 0.75]; // share of its box that ink takes at most; where it is turned, and of its hull
const HAZE = 4; // how many times the ink's area its faint edges take at most
const [FRAMED, AROUND] = [0.85, 0.5]; // share of each side of its box that a frame runs along, and a ring
const [LINES, STROKES] = [7, 3]; // lines looked at for ink within a ring, and strokes that one of them meets
const [GAP, PIECE] = [0.35, 0.25]; // shares of the ink's longer side: the widest gap, and the least piece beside a gap

// Ink on evenly lit paper. ink: image, 0 paper, 255 full ink. paper: its level. dark: whether ink is darker. contrast: grey levels
// between them. other: how far the picture departs to the other side. faint, inked: pixels with any ink, and with more than half.
class EvenInk {
  constructor(values) {
    Object.assign(this, values);
  }

  // Left, top, right and bottom of the pixels that are more ink than paper.
  get box() {
    this.found ??= inkBox(this.ink);
    return this.found;
  }

  // Whether nothing in the picture calls for a closer look.
  isClean() {
    const { width, height } = this.ink;
    const [left, top, right, bottom] = this.box;
    const side = Math.max(right - left, bottom - top);
    if (left === 0 || top === 0 || right === width || bottom === height || 2 * this.other > this.contrast) return false;
    if (side * LARGE < Math.max(height, width) || this.isHazy()) return false;
    const { columns, rows } = projections(crop(this.ink, left, top, right, bottom));
    if (!isWhole(columns, side) || !isWhole(rows, side)) return false;
    return !(this.#isFilled() || this.#mayBeFramed());
  }

  // Whether a picture of few pixels may show a tile with a symbol on it: it is filled, or has cut corners.
  mayBeTile() {
    const { pixels, width, height } = this.ink;
    return [0, width - 1, (height - 1) * width, height * width - 1].some((corner) => pixels[corner] > 127) || this.#isFilled();
  }

  // Whether far more of the picture is faint than ink: a tile or a shadow behind the symbol.
  isHazy() {
    return this.faint > HAZE * this.inked;
  }

  #isFilled() {
    const [left, top, right, bottom] = this.box;
    const wide = Math.min(right - left, bottom - top) * 5 > Math.max(this.ink.width, this.ink.height);
    const area = (right - left) * (bottom - top);
    if (!wide || this.inked <= TURNED * area) return false;
    if (this.inked > FILLED * area) return true;
    return isConvex({ ...this.ink, pixels: this.ink.pixels.map((level) => (level > 127 ? 255 : 0)) }, CONVEX);
  }

  // Whether ink runs all along the four sides; or along most of them, with other ink in between both ways, as in a ring.
  #mayBeFramed() {
    const [left, top, right, bottom] = this.box;
    const band = Math.max(3, Math.floor(Math.max(right - left, bottom - top) / 10));
    const { width, height } = this.ink;
    const part = (...sides) => projections(crop(this.ink, ...sides));
    const bands = [
      part(left, top, right, Math.min(height, top + band)).columns,
      part(left, Math.max(0, bottom - band), right, bottom).columns,
      part(left, top, Math.min(width, left + band), bottom).rows,
      part(Math.max(0, right - band), top, right, bottom).rows,
    ];
    const along = Math.min(...bands.map((band) => band.reduce((sum, set) => sum + set, 0) / band.length));
    return along >= FRAMED || (along >= AROUND && this.#isCrossed(0) && this.#isCrossed(1));
  }

  // Whether a row (axis 0) or a column (axis 1) of the ink's box meets several strokes.
  #isCrossed(axis) {
    const [left, top, right, bottom] = this.box;
    const { pixels, width } = this.ink;
    for (let number = 1; number <= LINES; number++) {
      const x = left + Math.floor(((right - left) * number) / (LINES + 1));
      const y = top + Math.floor(((bottom - top) * number) / (LINES + 1));
      const [start, step, length] = axis === 0 ? [y * width + left, 1, right - left] : [top * width + x, width, bottom - top];
      let [strokes, before] = [0, false];
      for (let at = 0; at < length; at++) {
        const inked = pixels[start + at * step] > 127;
        if (inked && !before) strokes += 1;
        before = inked;
      }
      if (strokes >= STROKES) return true;
    }
    return false;
  }
}

// Which columns and rows have a pixel that is more ink than paper, as 0 and 1.
function projections({ pixels, width, height }) {
  const [columns, rows] = [new Uint8Array(width), new Uint8Array(height)];
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) if (pixels[y * width + x] > 127) columns[x] = rows[y] = 1;
  return { columns, rows };
}

// Whether a projection has no gaps, or only such as any symbol may have.
function isWhole(inked, side) {
  if (!inked.includes(0)) return true;
  const text = String.fromCharCode(...inked);
  const [pieces, gaps] = ["\0", "\x01"].map((between) => text.split(between).map((part) => part.length));
  return Math.max(...gaps) <= GAP * side && Math.min(...pieces.filter((piece) => piece)) >= PIECE * side;
}

// Left, top, right and bottom (exclusive) of the pixels that are more ink than paper; the whole image where there are none.
export function inkBox({ pixels, width, height }) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[y * width + x] < 128) continue;
      if (x < left) left = x;
      if (x >= right) right = x + 1;
      if (y < top) top = y;
      bottom = y + 1;
    }
  }
  return right ? [left, top, right, bottom] : [0, 0, width, height];
}

// The image as large as clean drawings are looked at.
export function reduced(grey) {
  const longer = Math.max(grey.width, grey.height);
  return longer <= MAX_SIDE ? grey : reduce(grey, Math.ceil(longer / MAX_SIDE));
}

// The levels along the border of an image, sorted.
export function borderLevels({ pixels, width, height }) {
  const border = new Uint8Array(2 * (width + height));
  border.set(pixels.subarray(0, width));
  border.set(pixels.subarray((height - 1) * width), width);
  for (let y = 0; y < height; y++) {
    border[2 * width + y] = pixels[y * width];
    border[2 * width + height + y] = pixels[(y + 1) * width - 1];
  }
  return border.sort();
}

// The paper's level where the border is evenly lit, else null.
export function evenPaper(border) {
  const quarter = border.length >> 2;
  return border[border.length - 1 - quarter] - border[quarter] > EVEN_PAPER ? null : border[border.length >> 1];
}

// The ink of an image on paper of that level, on the side that departs furthest; null where it is blank.
export function evenInk(grey, paper) {
  const counts = histogram(grey.pixels);
  const low = counts.findIndex((count) => count);
  const high = counts.findLastIndex((count) => count);
  const contrast = Math.max(paper - low, high - paper);
  if (contrast < MIN_CONTRAST) return null;
  const dark = paper - low >= high - paper;
  const table = Uint8Array.from({ length: 256 }, (_, level) => {
    const depth = dark ? paper - level : level - paper;
    return Math.min(255, Math.max(0, Math.floor(((depth * 4 - contrast) * 255) / (2 * contrast))));
  });
  const ink = { ...grey, pixels: grey.pixels.map((level) => table[level]) };
  const [faint, inked] = [0, 127].map((limit) => counts.reduce((sum, count, level) => sum + (table[level] > limit ? count : 0), 0));
  return new EvenInk({ ink, paper, dark, contrast, other: Math.min(paper - low, high - paper), faint, inked });
}

// The ink of a drawing: the paper's level becomes 0 and the ink's 255. Throws ImageError for one that is blank.
export function stretch(grey, paper) {
  const even = evenInk(grey, paper);
  if (even) return even.ink;
  let contrast = 0;
  for (const level of grey.pixels) contrast = Math.max(contrast, Math.abs(paper - level));
  throw new ImageError(`no symbol found: the picture is blank (its ${grey.height}x${grey.width} pixels stay within ${contrast} of 255 ` +
    `grey levels of the paper, and ink needs ${MIN_CONTRAST})`);
}
