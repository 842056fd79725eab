// What a picture may be a picture of, as oneshot_runtime/vision/readings.py. A reading is { drawing, ink, box, whole, framed, dropped,
// symbols, bounds }, see Reading there; box is [x, y, width, height] in pixels of the picture.

import { ImageError } from "../errors.js";
import { flattenPaper } from "./background.js";
import { borderLevels, evenInk, evenPaper, reduced, stretch } from "./clean.js";
import { colourPlane } from "./colours.js";
import { cut } from "./cut.js";
import { gap, union } from "./grouping.js";
import { transposed } from "./image.js";
import { countLines } from "./lines.js";
import { connectedParts } from "./parts.js";
import { reduce } from "./resample.js";
import { isStraight, look, sceneOf } from "./segment.js";
import { viewOf } from "./sheet-on-desk.js";
import { wider } from "./wide-ink.js";

const REACH = 0.8; // strokes belong to one symbol up to this gap, as a share of the longer side of its largest group
const [PUNCHED, PUNCHED_SHARE] = [2.2, 0.25]; // pen widths from which a dot may be a hole, and its share of the largest side at most
const [ALIGNED_GAP, ALIGNED_SHARE] = [0.2, 0.35]; // how far dots in a line are from a symbol that is not theirs, and how large
const DOT_REACH = 0.5; // the same for dots
const SHARE = 0.25; // share of the largest group's side that another has at least, to be part of the same symbol
const [BIT, FAR] = [0.4, 0.6]; // how large what lies beside a symbol is, and from where on it hardly is a stroke
// A straight thing may be a pencil beside the symbol when it is so many times as long, and hardly a stroke of it when so many times as wide.
const [LONGER, LONGEST, WIDER] = [1.2, 3, 1.5];
const FEW = 4; // groups of more than so many are several symbols
const [MOST_RAYS, RAYS, OFF] = [16, 4, 8]; // groups around a middle that are one symbol, see _is_radial in ways.py
const [LARGE, SMALLEST] = [8, 16]; // ink that takes less than one part in so many is cut out, if it has so many pixels
const THIN = 10; // the shorter side of a picture over the width of pens that may write across all of it
const EDGE = 0.5; // share of an edge of the picture that a symbol's ink covers at most
const [SHEET, SHEET_SIDE, TILE_SIDE] = [0.55, 0.2, 0.42]; // what may be a sheet or a tile, and what likely is
const MOST_EVEN_PARTS = 60; // parts of ink on even paper above which they are noise, dots of a raster, or squared paper
const [SHADE, FULL] = [24, 0.5]; // the shorter side over the width of shadows, and share of ink that is as strong as the strongest
const WEAK = 48; // grey levels of contrast below which colours may say more
const ICON = 48; // pixels of the longer side below which a picture is all symbol
const RASTER_DOT = 4; // pixels of a raster's usual dot at most
const SMALL_PICTURE = 128; // pixels of the longer side below which a picture in doubt is a drawing rather than a scene

const longer = ({ width, height }) => Math.max(width, height);
const shorter = ({ width, height }) => Math.min(width, height);

// The ways to read a picture, likeliest first. Throws ImageError where it shows no ink.
export function readings(picture) {
  const { grey, colours } = picture;
  const small = reduced(grey);
  const paper = evenPaper(borderLevels(small));
  const even = paper === null ? null : evenInk(small, paper);
  const isIcon = longer(grey) < ICON;
  if (even && (isIcon || even.isClean()) && (even.contrast >= WEAK || !colours)) return [wholeOf(small, even, grey)];
  if (!even || even.contrast < WEAK) {
    const plane = colours ? colourPlane(colours(), even ? even.contrast : null) : null;
    if (plane) return scaled(readings({ grey: plane, colours: null }), longer(grey), longer(plane));
  }
  const found = isIcon ? [] : greyReadings(grey, small, even);
  return found.length ? found : [wholePicture(picture)];
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

function greyReadings(grey, small, even) {
  let found = [];
  let likely = false;
  if (even) {
    const seen = evenScene(small, even);
    likely = seen.likely;
    if (isRaster(seen.scene.ink) && shorter(small) >= ICON * 2) {
      return scaled(readings({ grey: reduce(grey, 2), colours: null }), 2, 1);
    }
    const factor = Math.ceil(longer(grey) / longer(small));
    found = ofScene(grey, seen.scene, factor, wholeOf(small, even, grey), likely);
    if (found.length && seen.trusted) return found;
  }
  const view = viewOf(grey);
  const strokes = look(view.working)[0] ?? null;
  const wide = wider(grey, view, strokes);
  const seen = wide ?? { view, scene: strokes };
  if (seen.scene) {
    const searched = placed(ofScene(seen.view.grey, seen.scene, seen.view.factor, null, false), seen.view);
    if (wide && found.length && isSame(found[0].box, searched[0].box, 2 * seen.view.factor)) return found.slice(0, 1);
    found = found.length && likely && !wide ? [...found.slice(0, 1), ...searched] : [...searched, ...found.slice(0, 1)];
  }
  if (longer(grey) < SMALL_PICTURE && !wide) {
    const whole = found.filter((one) => one.whole);
    return [...(whole.length ? whole : drawings(grey)), ...found.filter((one) => !one.whole)];
  }
  return found;
}

// Whether two boxes differ by so many pixels at most, on each side.
function isSame(one, other, most) {
  const corners = ([x, y, w, h]) => [x, y, x + w, y + h];
  return corners(one).every((side, at) => Math.abs(side - corners(other)[at]) <= most);
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

// Whether the ink is mostly dots: of a raster, or of noise.
function isRaster({ parts: { areas } }) {
  const sorted = [...areas].sort((one, other) => one - other);
  return sorted.length > MOST_EVEN_PARTS && sorted[sorted.length >> 1] <= RASTER_DOT;
}

function wholeOf(small, even, grey) {
  const [left, top, right, bottom] = even.box;
  const factor = Math.ceil(longer(grey) / longer(small));
  const box = [left * factor, top * factor, (right - left) * factor, (bottom - top) * factor];
  return reading({ drawing: small, ink: even.ink, box, bounds: even.box });
}

// The parts of ink on even paper, whether they are what they seem, and whether that is likely.
function evenScene(small, even) {
  const parts = connectedParts(even.ink, 128);
  const paper = { ...small, pixels: new Uint8Array(small.pixels.length).fill(even.paper) };
  const [peaks, means] = parts.levels(even.ink);
  const ink = { light: !even.dark, grey: small, paper, contrast: even.ink, limit: 128, parts, peaks, means, lined: false };
  const few = parts.areas.length <= MOST_EVEN_PARTS && 2 * even.other <= even.contrast && !even.isHazy() && !isShaded(ink);
  const filled = few ? filledSide(ink) : 0;
  const crossing = few ? crossings(even.ink) : 0;
  const thin = parts.pens.reduce((most, pen) => Math.max(most, pen)) * THIN <= 4 * shorter(small);
  const drawn = crossing === 0 || (crossing === 1 && thin && parts.areas.length <= FEW);
  const likely = few && drawn && filled < TILE_SIDE * shorter(small);
  return { scene: sceneOf(ink, null), trusted: few && !crossing && !filled, likely };
}

// Whether something wide comes in from the picture's border that is not as strong as ink: a shadow.
function isShaded({ parts, contrast: { pixels, width, height } }) {
  const wide = parts.areas.map((_, part) => part).filter((part) => {
    const [x, y, w, h] = parts.boxes[part];
    const isOutside = x === 0 || y === 0 || x + w === width || y + h === height;
    return isOutside && parts.pens[part] * SHADE > 4 * Math.min(height, width);
  });
  if (!wide.length) return false;
  let [all, full] = [0, 0];
  parts.mask(wide, 0, 0, width, height).pixels.forEach((set, at) => {
    if (!set) return;
    all += 1;
    if (pixels[at] === 255) full += 1;
  });
  return full / all < FULL;
}

// The shorter side of the widest thing that is full of ink from side to side: a sheet, a tile, a blot; 0 for none.
function filledSide({ parts, grey }) {
  const spans = parts.spans();
  let widest = 0;
  parts.boxes.forEach(([, , w, h], part) => {
    const area = parts.areas[part];
    const filled = area > SHEET * spans[part] && 5 * area > 2 * w * h && Math.min(w, h) >= SHEET_SIDE * shorter(grey);
    if (filled) widest = Math.max(widest, Math.min(w, h));
  });
  return widest;
}

// How often ink runs along an edge of the picture, or in a line from one to the other.
function crossings(ink) {
  const { pixels, width, height } = ink;
  const count = (length, at) => {
    let sum = 0;
    for (let place = 0; place < length; place++) if (pixels[at(place)] > 127) sum += 1;
    return sum / length;
  };
  const edges = [
    count(width, (x) => x),
    count(width, (x) => (height - 1) * width + x),
    count(height, (y) => y * width),
    count(height, (y) => (y + 1) * width - 1),
  ];
  let found = edges.filter((share) => share > EDGE).length;
  if (edges[2] && edges[3]) found += countLines(ink, 128);
  if (edges[0] && edges[1]) found += countLines(transposed(ink), 128);
  return found;
}

// The ways to read a scene; `whole` is that of the whole picture, to be taken where nothing is left out.
function ofScene(grey, scene, factor, whole, even) {
  const symbols = countOf(scene, even);
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

// How many symbols a scene shows: one where its strokes are near each other, or few on even paper, or dots.
function countOf(scene, even) {
  const strokes = scene.symbols.filter((one) => !isDot(one));
  if (!strokes.length) return 1;
  if (strokes.length > FEW) return !even && isRadial(scene.symbols) ? 1 : strokes.length;
  return even ? 1 : 1 + strokes.length - membersOf(strokes).length;
}

// The largest group of strokes, with those that are near enough and large enough to be of the same symbol.
function membersOf(symbols) {
  const [largest, ...others] = symbols;
  const members = [largest];
  for (const one of others) {
    const near = Math.min(...members.map((other) => gap(one.box, other.box))) <= REACH * largest.side;
    if (near && one.side >= SHARE * largest.side) members.push(one);
  }
  return members;
}

// Whether groups lie around the largest and near it, as the rays of a sun: one symbol, and no page of them.
function isRadial(symbols) {
  if (symbols.length <= FEW || symbols.length > MOST_RAYS || membersOf(symbols).length < symbols.length) return false;
  const [largest, box] = [symbols[0].box, union(symbols.map((one) => one.box))];
  const off = [0, 1].map((axis) => Math.abs(2 * largest[axis] + largest[axis + 2] - 2 * box[axis] - box[axis + 2]));
  const side = Math.max(box[2], box[3]);
  const [middle, ...rays] = symbols.map(({ ink, numbers }) => numbers.reduce((sum, number) => sum + ink.parts.areas[number], 0));
  return side <= RAYS * symbols[0].side && Math.max(...off) * OFF <= 2 * side && middle >= 2 * Math.max(...rays);
}

// The ways to read a scene as one symbol; where the paper is even, all ink is one before it is not.
function waysOf(scene, even) {
  const largestSide = Math.max(...scene.symbols.map((one) => one.side));
  let dots = scene.symbols.filter((one) => PUNCHED * scene.pen <= one.side && one.side <= PUNCHED_SHARE * largestSide && isDot(one));
  const holes = alignedDots(scene.symbols);
  dots = dots.filter((dot) => !holes.includes(dot));
  let symbols = scene.symbols.filter((one) => !dots.includes(one) && !holes.includes(one));
  if (!symbols.length) [symbols, dots] = [dots, []];
  if (!symbols.length) return [];
  const others = besideOf(symbols, even);
  const kept = symbols.filter((one) => !others.includes(one));
  const far = others.every((one) => isFar(one, kept));
  const taken = even ? symbols : kept;
  const [largest] = kept;
  const beside = dots.filter((dot) => gap(dot.box, largest.box) <= DOT_REACH * largest.side);
  const points = scene.points ? [scene.points] : [];
  const ways = [];
  if (even || isRadial(scene.symbols)) ways.push([...taken, ...beside, ...points]);
  if (even && others.length) {
    ways.splice(far ? 0 : 1, 0, [...kept, ...beside, ...points]);
  } else if (!even || points.length || holes.length || beside.length < dots.length || symbols.length > FEW) {
    const members = membersOf(kept);
    if (kept.length <= FEW) ways.push([...members, ...beside, ...points]);
    if (kept.length > 1 || points.length) ways.push(kept.length <= FEW && points.length ? [...members, ...beside] : [largest]);
  }
  if (!ways.length) ways.push([largest]);
  if (holes.length) {
    ways.splice(holes.every((hole) => isAtBorder(hole, largest)) ? ways.length : 0, 0, [...ways[0], ...holes]);
  }
  const found = [];
  for (const way of ways) {
    const one = together(way);
    if (found.every((other) => other.numbers.length !== one.numbers.length)) found.push(one);
  }
  if (scene.framed) found.splice(scene.isFace ? 0 : found.length, 0, scene.framed);
  return scene.bare ? [...found, scene.bare] : found;
}

// What may lie beside a symbol and be none of its strokes: a pencil; on even paper a staple, a clip at the picture's edge.
function besideOf(symbols, even) {
  const bars = symbols.filter(({ ink, numbers }) => numbers.length === 1 && isStraight(ink.parts, numbers[0]));
  let largest = symbols.find((one) => !bars.includes(one)) ?? symbols[0];
  const pencils = bars.filter(({ side }) => LONGER * largest.side < side && side <= LONGEST * largest.side);
  largest = pencils.length ? largest : symbols[0];
  if (isDot(largest) || !even) return pencils;
  const rest = symbols.filter((one) => one !== largest && !pencils.includes(one));
  return [...pencils, ...rest.filter((one) => one.side <= BIT * largest.side || (isCutOff(one) && !isCutOff(largest)))];
}

// Whether what lies beside a symbol is far from it, and a pencil, wider than its strokes, or small and no dot.
function isFar(one, symbols) {
  const { side } = symbols[0];
  const isPencil = one.side > side && penOf(one) >= WIDER * penOf(symbols[0]);
  if (!(isPencil || (one.side <= BIT * side && !isDot(one)))) return false;
  return Math.min(...symbols.map((other) => gap(one.box, other.box))) > FAR * side;
}

const penOf = ({ ink, numbers }) => Math.max(...numbers.map((number) => ink.parts.pens[number]));

function isCutOff({ ink: { contrast: { width, height } }, box: [x, y, w, h] }) {
  return x === 0 || y === 0 || x + w === width || y + h === height;
}

// Dots of one size in a row or a column beside the largest symbol, some way off: punched holes.
function alignedDots([largest, ...others]) {
  if (!largest || isDot(largest)) return [];
  const small = others.filter((one) => one.side <= ALIGNED_SHARE * largest.side && isDot(one));
  const far = small.filter((one) => gap(one.box, largest.box) > ALIGNED_GAP * largest.side);
  const middle = ({ box: [x, y, w, h] }) => [2 * x + w, 2 * y + h];
  return far.filter((one) => far.some((other) => {
    if (other === one || 5 * Math.abs(other.side - one.side) > one.side) return false;
    const [[x, y], [otherX, otherY]] = [middle(one), middle(other)];
    return Math.min(Math.abs(otherX - x), Math.abs(otherY - y)) <= one.side;
  }));
}

// Whether something is nearer to the picture's border than to another thing.
function isAtBorder({ ink: { contrast: { width, height } }, box }, other) {
  const [x, y, w, h] = box;
  return Math.min(x, y, width - x - w, height - y - h) < gap(box, other.box);
}

// Whether nothing is gained by cutting ink of that side out of a picture.
const isLarge = (side, grey) => side * LARGE >= longer(grey) || side < SMALLEST;

// Whether it is a blob, about as wide as high, that a pen or a punch leaves.
function isDot({ ink, numbers, box: [, , width, height] }) {
  if (numbers.length !== 1) return false;
  return 5 * ink.parts.areas[numbers[0]] >= 3 * width * height && 4 * Math.max(width, height) <= 6 * Math.min(width, height);
}

function together(members) {
  const box = union(members.map((one) => one.box));
  return { ink: members[0].ink, numbers: members.flatMap((one) => one.numbers), box, side: Math.max(box[2], box[3]) };
}
