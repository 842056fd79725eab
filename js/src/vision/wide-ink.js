// Wide ink: bold letters and filled shapes, of which a search for strokes sees the holes, or bits, as oneshot_runtime/vision/wide_ink.py.

import { gap } from "./grouping.js";
import { crop } from "./image.js";
import { LOGARITHM } from "./ink.js";
import { closing, opening, spread } from "./morphology.js";
import { countSet, filledIn, isCarrier } from "./outline.js";
import { connectedParts } from "./parts.js";
import { reduce } from "./resample.js";
import { sceneOf, working } from "./segment.js";

const SIDE = 128; // longer side of the small picture at most
const SURROUNDINGS = 8; // longer side of the surroundings, in sides of what was found
const WINDOW = 0.7; // the widest pen, as a share of the small picture's shorter side
const LEAST = 24; // contrast of wide ink at least
const STRONGEST = 200; // one pixel of so many is as strong as ink, at least
const LARGE = 10; // the small picture's shorter side over the longer side of things that are looked at
const DEPTH = 4; // things that enclose each other: a sheet, a tile, a letter
const PEN = 30; // the small picture's shorter side over the width of pens that are wide
const SMALL = 3; // the small picture's shorter side over the side of things whose surroundings are looked at again, larger
const SAME_AREA = 0.85; // share of the wide ink that was found before, from which on it is the same
const ALIKE = 0.35; // share of the contrast that two things of one level differ by at most
const [MOST_PARTS, SPECK] = [60, 4]; // parts above which they are noise, and pixels of a usual one at most
const [FAINT, BIT] = [3, 4]; // wide ink's contrast over that of shades in it, and its area over that of bits of it, at least
const [BESIDE, LENGTH] = [0.35, 3]; // how far thin strokes are from wide ones, as a share of the wide one's longer side; that over theirs
const RIM = 2; // pixels along the edge of a sheet or a tile that are soft
const TINY = 40; // the shorter side of the picture over the longer side of what may be noise, too

// The wide ink in a picture that the largest symbol of a scene in its `view` is a hole in, or a bit of: { view, scene }; null
// where it is neither.
export function wider(grey, view, scene) {
  const places = [...surroundings(grey, view, scene)];
  if (view.grey !== grey && places.length > 1 && isBit(view, places[1])) places.shift();
  for (const near of places) {
    const own = scene && seenOf(near, view, scene);
    const { thing, carrier } = outermost(near.working, own);
    const ink = thing ? thing.ink : own && wideInk(near.working, own.light);
    if (!ink) continue;
    if (!own || !isThinPart(own, ink)) {
      if (!thing || !isWide(thing)) continue;
      if (own && !explains(thing, near.working, own, carrier !== null)) {
        const [left, top, right, bottom] = thing.box;
        if (SMALL * Math.max(right - left, bottom - top) < Math.min(near.working.width, near.working.height)) continue;
        return null;
      }
    }
    const seen = wideScene(ink, carrier, own && thing && liesAround(own, thing) ? own.mask : null);
    return seen.symbols.length ? { view: near, scene: seen } : null;
  }
  return null;
}

// Whether what seemed a sheet is a part of wide ink, such as the bar of a letter that its holes are in.
function isBit(sheet, whole) {
  const { thing } = outermost(whole.working, null);
  if (!thing || !isWide(thing) || isCarrier(thing.mask, thing.filled, thing.box)) return false;
  const [left, top, right, bottom] = thing.box.map((value) => value * whole.factor);
  const [x, y, soft] = [sheet.left - whole.left, sheet.top - whole.top, RIM * whole.factor];
  const { width, height } = sheet.grey;
  return left <= x + soft && top <= y + soft && right >= x + width - soft && bottom >= y + height - soft;
}

const isWide = ({ mask, pen }) => PEN * pen >= 4 * Math.min(mask.width, mask.height);

// Whether what was found is a thin stroke in wide ink, with wide ones beside it, or within: those of one symbol. Of noise,
// whether there is any such stroke.
function isThinPart(own, ink) {
  let [things, thin] = [thingsOf(ink), []];
  if (own.isNoise) {
    thin = things.filter((thing) => !isWide(thing)).map(boxOf);
  } else if (own.light === ink.light && isSeen(own, ink)) {
    things = things.filter(({ pen, mask }) => pen >= 2 * own.pen && !mask.pixels.some((set, at) => set && own.mask.pixels[at]));
    thin = [boundsOf(own.mask)];
  }
  const wide = things.filter(isWide).map(boxOf);
  const side = ([, , width, height]) => Math.max(width, height);
  return thin.some((one) => wide.some((box) => gap(box, one) <= BESIDE * side(box) && LENGTH * side(one) >= side(box)));
}

const boxOf = ({ box: [left, top, right, bottom] }) => [left, top, right - left, bottom - top];

// Whether half of what was found is ink here, too.
function isSeen({ mask: { pixels } }, { contrast, limit }) {
  return 2 * countSet(pixels.filter((set, at) => set && contrast.pixels[at] >= limit)) >= countSet(pixels);
}

// x, y, width, height of what is set in a mask.
function boundsOf({ pixels, width }) {
  let [left, top, right, bottom] = [Infinity, Infinity, 0, 0];
  pixels.forEach((set, at) => {
    if (!set) return;
    const [x, y] = [at % width, Math.floor(at / width)];
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x + 1), Math.max(bottom, y + 1)];
  });
  return [left, top, right - left, bottom - top];
}

// The sheet in the picture, the whole picture, and what is near the largest symbol of a scene, all small.
function* surroundings(grey, view, scene) {
  if (view.grey !== grey) yield smallView(view.grey, view.left, view.top, view.working, view.factor);
  const boxes = [[0, 0, grey.width, grey.height]];
  const [picture, at] = view.grey === grey ? [view.working, view.factor] : working(grey);
  if (scene) {
    const [x, y, w, h] = scene.symbols[0].box.map((value) => value * view.factor);
    const reach = (SURROUNDINGS * Math.max(w, h)) >> 1;
    const [middleX, middleY] = [view.left + x + (w >> 1), view.top + y + (h >> 1)];
    const [left, top] = [Math.max(0, middleX - reach), Math.max(0, middleY - reach)];
    const [right, bottom] = [Math.min(grey.width, middleX + reach), Math.min(grey.height, middleY + reach)];
    if (4 * Math.max(right - left, bottom - top) <= 3 * Math.max(grey.width, grey.height)) boxes.push([left, top, right, bottom]);
  }
  for (const box of boxes) {
    const [left, top] = [Math.floor(box[0] / at), Math.floor(box[1] / at)];
    const part = crop(picture, left, top, Math.ceil(box[2] / at), Math.ceil(box[3] / at));
    const right = Math.min(grey.width, (left + part.width) * at);
    const bottom = Math.min(grey.height, (top + part.height) * at);
    const near = smallView(crop(grey, left * at, top * at, right, bottom), left * at, top * at, part, at);
    if (Math.min(near.working.width, near.working.height) >= 16) yield near;
  }
}

// A part of the picture with a small working picture, made from one that is `at` times smaller.
function smallView(grey, left, top, working, at) {
  const factor = Math.ceil(Math.max(working.width, working.height) / SIDE);
  return { grey, left, top, working: factor === 1 ? working : reduce(working, factor), factor: factor * at };
}

// The largest symbol of a scene, in the small picture: { mask, light, contrast, area, pen, isNoise }, see _Seen in wide_ink.py.
function seenOf(near, view, { ink, symbols: [{ numbers, box, side }] }) {
  const { width, height } = ink.contrast;
  const { areas } = ink.parts;
  const largest = numbers.reduce((best, number) => (areas[number] > areas[best] ? number : best));
  const whole = ink.parts.mask([largest], 0, 0, width, height).pixels;
  const small = near.working;
  const mask = { width: small.width, height: small.height, pixels: new Uint8Array(small.pixels.length) };
  const place = (at, start) => Math.floor((start + at * near.factor + (near.factor >> 1)) / view.factor);
  for (let y = 0; y < mask.height; y++) {
    const row = place(y, near.top - view.top);
    if (row < 0 || row >= height) continue;
    for (let x = 0; x < mask.width; x++) {
      const column = place(x, near.left - view.left);
      if (column >= 0 && column < width && whole[row * width + column]) mask.pixels[y * mask.width + x] = 255;
    }
  }
  if (!mask.pixels.some((set) => set)) {
    const [x, y, w, h] = box.map((value) => value * view.factor);
    const row = Math.floor((view.top + y + (h >> 1) - near.top) / near.factor);
    mask.pixels[row * mask.width + Math.floor((view.left + x + (w >> 1) - near.left) / near.factor)] = 255;
  }
  const sum = numbers.reduce((all, number) => all + areas[number], 0);
  const specks = [...areas].sort((one, other) => one - other);
  const isNoise = specks.length > MOST_PARTS && specks[specks.length >> 1] <= SPECK;
  return {
    mask,
    light: ink.light,
    contrast: ink.means[largest],
    area: Math.floor((sum * view.factor ** 2) / near.factor ** 2),
    pen: Math.floor((ink.parts.pens[largest] * view.factor) / near.factor),
    isNoise: isNoise || side * TINY < Math.min(width, height),
  };
}

// The outermost thing in a small picture that is no sheet or tile, around what was found; and what it lies on.
function outermost(grey, own) {
  const inks = [false, true].map((light) => wideInk(grey, light)).filter((ink) => ink);
  let here = inks.flatMap(thingsOf);
  here = here.filter((one) => !isRing(one, here));
  let [carrier, thing] = [null, null];
  for (let depth = 0; depth < DEPTH; depth++) {
    let outer = here.filter((one) => !here.some((other) => encloses(other, one)));
    if (!carrier && own) outer = outer.filter((one) => touches(own, one) || liesAround(own, one));
    if (!outer.length) break;
    thing = outer.reduce((best, one) => (one.area > best.area ? one : best));
    const { ink, filled } = thing;
    here = here.filter((one) => one.ink !== ink && encloses(thing, one) && one.mask.pixels.every((set, at) => !set || filled.pixels[at]));
    if (!here.length || !isCarrier(thing.mask, filled, thing.box)) break;
    carrier = thing;
  }
  return { thing, carrier };
}

const encloses = ({ box: one }, { box: other }) => one[0] < other[0] && one[1] < other[1] && one[2] > other[2] && one[3] > other[3];

// Whether a thing is drawn around a wide one, clear of it.
function isRing({ ink, filled, mask }, others) {
  const isInside = (set, at) => !set || (filled.pixels[at] && !mask.pixels[at]);
  return others.some((other) => isWide(other) && ink === other.ink && other.filled.pixels.every(isInside));
}

// Whether some of what was found is in a thing's box.
const touches = (own, { box }) => insideBox(own.mask, box).some((set) => set);

// Whether what was found is drawn around a wide thing, clear of it.
function liesAround(own, thing) {
  if (!isWide(thing) || 2 * own.pen > thing.pen || touches(own, thing)) return false;
  const [x, y, w, h] = boundsOf(own.mask);
  return x < thing.box[0] && y < thing.box[1] && x + w > thing.box[2] && y + h > thing.box[3];
}

const insideBox = (mask, [left, top, right, bottom]) => crop(mask, left, top, right, bottom).pixels;

// The wide ink of a small picture; null where it has none.
function wideInk(grey, light) {
  const paper = (light ? opening : closing)(grey, Math.floor(WINDOW * Math.min(grey.width, grey.height)) | 1);
  const contrast = { ...grey, pixels: grey.pixels.map((level, at) => Math.abs(LOGARITHM[level] - LOGARITHM[paper.pixels[at]])) };
  const ranked = contrast.pixels.slice().sort();
  const strong = ranked[ranked.length - 1 - Math.floor(ranked.length / STRONGEST)];
  return strong < LEAST ? null : inkOf(light, grey, paper, contrast, strong >> 1);
}

function inkOf(light, grey, paper, contrast, limit) {
  const parts = connectedParts(contrast, limit);
  const [peaks, means] = parts.levels(contrast);
  return { light, grey, paper, contrast, limit, parts, peaks, means, lined: false };
}

// The large parts that the small picture's border does not cut off: { ink, mask, filled, box, pen, area }, see _Thing in wide_ink.py.
function thingsOf(ink) {
  const { width, height } = ink.contrast;
  const things = [];
  ink.parts.boxes.forEach(([x, y, w, h], number) => {
    const isInside = x > 0 && y > 0 && x + w < width && y + h < height;
    if (!isInside || LARGE * Math.max(w, h) < Math.min(height, width)) return;
    const mask = ink.parts.mask([number], 0, 0, width, height);
    const box = [x, y, x + w, y + h];
    things.push({ ink, mask, filled: filledIn(mask), box, pen: ink.parts.pens[number], area: ink.parts.areas[number] });
  });
  return things;
}

// Whether what was found is a hole in a thing, a bay or a bit of it, as its level tells, or noise on it. isCarried: whether the
// thing lies on a sheet or a tile.
function explains(thing, grey, own, isCarried) {
  if (liesAround(own, thing)) return true;
  const [wide, narrow] = [spread(thing.filled, 3).pixels, spread(thing.filled, 1).pixels];
  const inside = meanLevel(grey, (at) => thing.mask.pixels[at]);
  const outside = meanLevel(grey, (at) => wide[at] > narrow[at]);
  const contrast = Math.abs(inside - outside);
  if (own.contrast > 2 * contrast) return false;
  if (own.area * BIT <= thing.area && own.contrast * FAINT <= contrast) return true;
  if (own.isNoise && 3 * own.contrast < 2 * contrast) return true;
  if (2 * countSet(insideBox(own.mask, thing.box)) < countSet(own.mask.pixels)) return false;
  const isLike = own.light === thing.ink.light;
  if (isLike && own.area >= SAME_AREA * thing.area) return false;
  if (!isLike && isCarrier(thing.mask, thing.filled, thing.box)) return false;
  if (isCarried && !isLike && own.area * BIT <= thing.area) return true;
  const ranked = grey.pixels.filter((_, at) => own.mask.pixels[at]).map((level) => LOGARITHM[level]).sort();
  const found = ranked[Math.floor((ranked.length * (own.light ? 3 : 1)) / 4)];
  return Math.abs(found - (isLike ? inside : outside)) <= ALIKE * contrast;
}

// The mean logarithm of the levels of some pixels, rounded down; 0 of none.
function meanLevel({ pixels }, isPart) {
  let [sum, count] = [0, 0];
  pixels.forEach((level, at) => {
    if (!isPart(at)) return;
    sum += LOGARITHM[level];
    count += 1;
  });
  return count ? Math.floor(sum / count) : 0;
}

// What there is of a kind of wide ink on a carrier, or in the whole small picture, without the ring around it.
function wideScene(ink, carrier, around) {
  const { width, height } = ink.contrast;
  let isPart = null;
  if (carrier) {
    const rim = spread({ ...carrier.filled, pixels: carrier.filled.pixels.map((set) => 255 - set) }, RIM).pixels;
    isPart = (at) => !rim[at];
  } else {
    const whole = ink.parts.areas.map((_, part) => part).filter((part) => {
      const [x, y, w, h] = ink.parts.boxes[part];
      return x > 0 && y > 0 && x + w < width && y + h < height;
    });
    const mask = ink.parts.mask(whole, 0, 0, width, height).pixels;
    isPart = (at) => mask[at];
  }
  const ring = around && spread(around, RIM).pixels;
  const contrast = { ...ink.contrast, pixels: ink.contrast.pixels.map((level, at) => (isPart(at) && !ring?.[at] ? level : 0)) };
  return sceneOf(inkOf(ink.light, ink.grey, ink.paper, contrast, ink.limit), null);
}
