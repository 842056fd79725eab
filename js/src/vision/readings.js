// What a picture may be a picture of, as oneshot_runtime/vision/readings.py. A reading is { drawing, ink, box, whole, framed, dropped,
// symbols, bounds }, see Reading there; box is [x, y, width, height] in pixels of the picture.

import { ImageError } from "../errors.js";
import { flattenPaper } from "./background.js";
import { borderLevels, evenInk, evenPaper, inkBox, reduced, stretch } from "./clean.js";
import { colourPlane } from "./colours.js";
import { cut } from "./cut.js";
import { carries, evenScene, isRaster } from "./even-scene.js";
import { crop } from "./image.js";
import { levelScene } from "./level-ink.js";
import { middleSymbol } from "./loose-crop.js";
import { BILINEAR, reduce, resize } from "./resample.js";
import { isStraight, look } from "./segment.js";
import { viewOf } from "./sheet-on-desk.js";
import { findTile } from "./tile.js";
import { DRAWING, countSymbols, edgesReached, isDot, waysOf } from "./ways.js";
import { wider } from "./wide-ink.js";

const [LARGE, SMALLEST] = [8, 16]; // ink that takes less than one part in so many is cut out, if it has so many pixels
const WEAK = 48; // grey levels of contrast below which colours may say more
const ICON = 48; // pixels of the longer side below which a picture is all symbol
const PART_OF = 23; // what a tile is part of is larger: the longer side, in 1/20 of the tile's
const MOST_TILES = 3; // tiles, signs and cards that lie on each other
const [LIKE, LOOK, APART] = [24, 32, 16]; // how much readings of the same ink differ: boxes by a part of the longer side, ink in small by levels

const longer = ({ width, height }) => Math.max(width, height);
const [CUT_OFF, DIFFERENT] = ["what the picture's border cuts off", 10]; // what is left out around the symbol in the middle
const shorter = ({ width, height }) => Math.min(width, height);

// The ways to read a picture, likeliest first; `tiles` are taken off it already. Throws ImageError where it shows no ink.
export function readings(picture, tiles = 0) {
  const { grey, colours } = picture;
  const small = reduced(grey);
  const paper = evenPaper(borderLevels(small));
  const even = paper === null ? null : evenInk(small, paper);
  if (even && (even.isClean() || (longer(grey) < ICON && !even.mayBeTile())) && (even.contrast >= WEAK || !colours)) return [wholeOf(small, even, grey)];
  if (!even || even.contrast < WEAK) {
    const plane = colours ? colourPlane(colours(), even ? even.contrast : null) : null;
    if (plane) return scaled(readings({ grey: plane, colours: null }), longer(grey), longer(plane));
  }
  let found = greyReadings(picture, small, even, tiles);
  if (!found.length) found = [wholePicture(picture)];
  return tiles ? found : withMiddle(grey, found, even !== null);
}

// Readings with that of the symbol in the middle, where the picture's edges cut its neighbours off.
function withMiddle(grey, found, even) {
  const seen = middleSymbol(grey);
  if (!seen) return found;
  const one = { ...readingOf(grey, ...seen), dropped: [CUT_OFF], symbols: found[0].symbols };
  const most = Math.floor(Math.max(one.box[2], one.box[3]) / DIFFERENT);
  const isHole = ({ box }) => isWithin(one.box, box) && isWithin(box, [0, 0, grey.width, grey.height]);
  if (found.some((other) => !other.whole && (isHole(other) || isSame(one.box, other.box, most)))) return found;
  return even || longer(grey) < DRAWING ? [...found, one] : [one, ...found];
}

// A picture read as it is, nothing left out. Throws ImageError where it shows no ink.
export function wholePicture({ grey }) {
  const small = reduced(grey);
  const border = borderLevels(small);
  const paper = evenPaper(border);
  const ink = paper === null ? stretch(flattenPaper(small, border), 0) : stretch(small, paper);
  return reading({ drawing: small, ink, box: [0, 0, grey.width, grey.height] });
}

const reading = (values) => ({ whole: true, framed: false, dropped: [], symbols: 1, bounds: null, ...values });

// Readings of a picture of another size, `to` over `of` times as large.
function scaled(found, to, of) {
  return found.map((one) => ({ ...one, box: one.box.map((value) => Math.floor((2 * value * to + of) / (2 * of))) }));
}

function greyReadings(picture, small, even, tiles) {
  const { grey } = picture;
  if (longer(grey) < ICON) return [...(tiles ? [] : onTile(picture, even, null, tiles)), ...(even ? [wholeOf(small, even, grey)] : [])];
  let found = [];
  let drawn = { scene: null, calm: false, likely: false };
  if (even) {
    drawn = evenScene(small, even);
    if (isRaster(drawn.scene.ink) && shorter(small) >= ICON * 2) {
      return scaled(readings({ grey: reduce(grey, 2), colours: null }), 2, 1);
    }
    found = ofScene(grey, drawn.scene, Math.ceil(longer(grey) / longer(small)), wholeOf(small, even, grey), drawn.likely);
    if (found.length && drawn.trusted) return found;
  }
  const { calm, likely } = drawn;
  const carried = onTile(picture, even, drawn.scene, tiles);
  if (carried.length) return [...carried, ...found.slice(0, 1)];
  const view = viewOf(grey);
  const strokes = look(view.working)[0] ?? null;
  const wide = wider(grey, view, strokes);
  const seen = wide ?? { view, scene: strokes };
  if (seen.scene) {
    const searched = placed(ofScene(seen.view.grey, seen.scene, seen.view.factor, null, false), seen.view);
    const same = found.findIndex((one) => isSame(one.box, searched[0].box, 2 * seen.view.factor));
    if (same >= 0 && (wide || calm)) return found.slice(0, same + 1);
    if (!wide && calm && likely && !drawn.scene.symbols.some((one) => holds(one, searched[0].box, grey))) return found;
    // Wide ink of the paper's kind is on a sheet or a tile, or it is the holes of a bold letter.
    const isHole = wide && calm && seen.scene.ink.light !== drawn.scene.ink.light && !carries(drawn.scene);
    const isSecond = found.length && (isHole || (likely && !wide));
    found = isSecond ? [...found.slice(0, 1), ...searched] : [...searched, ...found.slice(0, 1)];
  }
  if (!likely) found = withLevel(grey, view, found);
  // Wide ink is looked for clear of the edges; one of them may cut off a stroke of a drawing, but two a neighbour in a crop.
  const isUnseen = likely && drawn.scene.symbols.length > 0 && edgesReached(drawn.scene.symbols[0]) === 1;
  if (longer(grey) < DRAWING && (!wide || isUnseen)) {
    const whole = found.filter((one) => one.whole);
    return [...(whole.length ? whole : drawings(grey)), ...found.filter((one) => !one.whole)];
  }
  return found;
}

// The ways to read what is on a tile in a picture, if there is one. scene: what is on even paper.
function onTile(picture, even, scene, tiles) {
  const tile = tiles < MOST_TILES ? findTile(picture, tiles > 0 || even !== null, tiles === 0) : null;
  if (!tile || scene?.symbols.some((one) => hasPart(one, tile, picture.grey))) return [];
  try {
    return placed(scaled(readings(tile.alone, tiles + 1), tile.scale, 1), tile).map((one) => ({ ...one, whole: false }));
  } catch (error) {
    if (error instanceof ImageError) return []; // what is on it is too faint
    throw error;
  }
}

// Whether what seems a tile is part of something larger that was found, as the body of a telephone is.
function hasPart(one, tile, grey) {
  const factor = smaller(one, grey);
  const [x, y, width, height] = one.box.map((value) => value * factor);
  const [wide, high] = [tile.alone.grey.width, tile.alone.grey.height].map((side) => side * tile.scale);
  const [middleX, middleY] = [tile.left + (wide >> 1), tile.top + (high >> 1)];
  const within = x < middleX && middleX < x + width && y < middleY && middleY < y + height;
  return within && 20 * Math.max(width, height) > PART_OF * Math.max(wide, high);
}

// By how much the picture is smaller in which something was found.
const smaller = (one, grey) => Math.ceil(longer(grey) / longer(one.ink.grey));

// Whether a box of the picture lies within what was found in a smaller one.
function holds(one, [x, y, w, h], grey) {
  const factor = smaller(one, grey);
  const [left, top, width, height] = one.box.map((value) => value * factor);
  return left + factor < x && top + factor < y && x + w < left + width - factor && y + h < top + height - factor;
}

// The readings of a picture, with that of the ink that one level tells from its paper, where that is another symbol: first, unless
// it may be a hole of what was found, or is one line: the edge of a sheet or a card.
function withLevel(grey, view, found) {
  const level = levelScene(grey, view);
  if (!level) return found;
  const { view: near, scene } = level;
  const told = placed(ofScene(near.grey, scene, near.factor, null, false).slice(0, 1), near);
  if (found.length && ((told[0].symbols > 1 && found[0].symbols > 1) || isLike(told[0], found[0]))) return found;
  const isLine = scene.symbols[0].numbers.length === 1 && isStraight(scene.ink.parts, scene.symbols[0].numbers[0]);
  const isFirst = !found.length || !(isLine || isWithin(told[0].box, found[0].box));
  return isFirst ? [...told, ...found.slice(0, 1)] : [...found.slice(0, 1), ...told];
}

// Whether a box is clear of the other's sides, as holes of a letter are.
function isWithin([x, y, w, h], [left, top, width, height]) {
  const clear = Math.floor(Math.max(width, height) / LIKE);
  return Math.min(x - left, y - top, left + width - x - w, top + height - y - h) > clear;
}

// Whether two boxes differ by so many pixels at most, on each side.
function isSame(one, other, most) {
  const corners = ([x, y, w, h]) => [x, y, x + w, y + h];
  return corners(one).every((side, at) => Math.abs(side - corners(other)[at]) <= most);
}

// Whether two readings are of the same ink: in about the same box, and the same there.
function isLike(one, other) {
  const most = Math.floor(Math.max(...one.box.slice(2), ...other.box.slice(2)) / LIKE);
  const [drawn, there] = [one.ink, other.ink].map((ink) => resize(crop(ink, ...inkBox(ink)), LOOK, LOOK, BILINEAR).pixels);
  const apart = drawn.reduce((sum, level, at) => sum + Math.abs(level - there[at]), 0);
  return isSame(one.box, other.box, most) && apart <= APART * LOOK * LOOK;
}

// The whole picture as one, if it shows ink.
function drawings(grey) {
  try {
    return [wholePicture({ grey })];
  } catch (error) {
    if (error instanceof ImageError) return [];
    throw error;
  }
}

// Readings of a view, with their boxes in the picture.
function placed(found, { left, top }) {
  return found.map((one) => ({ ...one, box: [one.box[0] + left, one.box[1] + top, one.box[2], one.box[3]] }));
}

function wholeOf(small, even, grey) {
  const [left, top, right, bottom] = even.box;
  const factor = Math.ceil(longer(grey) / longer(small));
  const box = [left * factor, top * factor, (right - left) * factor, (bottom - top) * factor];
  return reading({ drawing: small, ink: even.ink, box, bounds: even.box });
}

// The ways to read a scene; `whole` is that of the whole picture, to be taken where nothing is left out.
function ofScene(grey, scene, factor, whole, even) {
  const symbols = countSymbols(scene, even);
  const found = [];
  for (const one of waysOf(scene, even)) {
    const framed = one === scene.framed || (scene.bare !== null && one !== scene.bare);
    const isAll = whole && one.numbers.length === scene.ink.parts.areas.length;
    const large = isLarge(one.side * factor, grey);
    if (!isAll || !(large || (isDot(one) && !even))) {
      const dropped = (scene.framed || scene.bare) && !framed ? [...scene.dropped, "the frame around it"] : scene.dropped;
      found.push({ ...readingOf(grey, one, factor), framed, dropped, symbols });
    }
    if (isAll && (large || isDot(one))) found.push({ ...whole, framed, symbols }); // a small one may be a dot, or a filled shape
  }
  return found;
}

// A symbol cut out of the picture whose working picture is `factor` times smaller.
export function readingOf(grey, one, factor) {
  const drawing = cut(grey, factor, one);
  return reading({ drawing, ink: stretch(drawing, 255), box: one.box.map((value) => value * factor), whole: false });
}

// Whether nothing is gained by cutting ink of that side out of a picture.
const isLarge = (side, grey) => side * LARGE >= longer(grey) || side < SMALLEST;
