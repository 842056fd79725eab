// From a picture's ink to its symbols, as oneshot_runtime/vision/segment.py. A symbol that was found is { ink, numbers, box, side }.

import { gap, sideOf, union } from "./grouping.js";
import { findInk } from "./ink.js";
import { reduce } from "./resample.js";
import { framesOf, ringsOf } from "./rings.js";
import { groupSymbols } from "./rows.js";

const WORKING_SIDE = 1024; // longer side of the picture in which ink is looked for
const MOST_PARTS = 400; // parts that are looked at, largest first
const SPECK = 0.5; // share of the pen's width below which a part is a speck
const PEN_SHARES = [18, 6]; // the shorter side of a picture over the width of the widest pen
const PLAIN = 20; // a symbol that takes one part in so many of the shorter side is there
const [POINT, POINT_REACH, MOST_POINTS] = [1.3, 0.5, 8]; // pen widths of a point, how far it is from its symbol, how many are none
const FAR_POINT = 0.8; // pen widths of a point that belongs to a symbol from afar, where the paper is even
const THIN = 6; // pen widths that a symbol's longer side has usually
const WIDEST = 0.75; // share of the window that strokes are wide at most
const [FILLED, DETAIL] = [10, 2]; // a filled shape's side over its pen, at most; and pixels of a detail of it, at least
const [LONG, STRAIGHT] = [12, 1.4]; // a straight thing's length over its pen; and its area over what a pen draws, both squared
const FACE = 3; // so many things in a round ring, and it is the outline of a face or a clock
const SMALLEST = 4; // pixels of the working picture that a symbol's longer side has at least

// The picture in which ink is looked for, and by how much it is smaller.
export function working(grey) {
  const factor = Math.ceil(Math.max(grey.width, grey.height) / WORKING_SIDE);
  return [factor === 1 ? grey : reduce(grey, factor), factor];
}

// What the working picture may show, likeliest first.
export function look(grey) {
  const shorter = Math.min(grey.width, grey.height);
  let scenes = [];
  for (const share of PEN_SHARES) {
    const window = Math.max(7, Math.floor(shorter / share)) | 1;
    for (const light of [false, true]) scenes.push(...findInk(grey, light, window).map((ink) => sceneOf(ink, window)));
    scenes = scenes.filter((scene) => scene.symbols.length).sort((one, other) => worth(other) - worth(one));
    if (scenes.length && scenes[0].symbols[0].side * PLAIN >= shorter) break;
  }
  return scenes;
}

// How much a scene looks as if it showed a symbol: large, strong, and thin, as gaps between strokes are not.
function worth({ ink, symbols: [largest] }) {
  const strength = Math.max(...largest.numbers.map((number) => ink.means[number])) / 255;
  const pen = penOf(ink, largestOf(largest.numbers, (number) => ink.parts.areas[number]));
  return largest.side * (strength * strength) * Math.min(1, largest.side / (THIN * pen));
}

// The first of those for which `value` is highest.
function largestOf(numbers, value) {
  return numbers.reduce((best, number) => (value(number) > value(best) ? number : best));
}

// What ink shows: { ink, symbols, framed, isFace, bare, points, pen, dropped }, see Scene in segment.py. window: that it was found with; parts
// not much narrower are no ink. null where the paper is even.
export function sceneOf(ink, window) {
  const { parts } = ink;
  const sides = parts.boxes.map(sideOf);
  const dropped = [];
  const nothing = { ink, symbols: [], framed: null, isFace: false, bare: null, points: null, pen: 0, dropped };
  let keep = insideOf(ink, sides, window, dropped);
  if (!keep.length) return nothing;
  let pen = penOf(ink, largestOf(keep, (number) => sides[number]));
  const details = window === null ? detailsOf(parts, keep, sides) : [];
  keep = withoutSpecks(parts, keep, sides, pen, window, details);
  if (window !== null) {
    keep = keep.filter((number) => isOnPaper(ink, number));
    if (!keep.length) return nothing;
    pen = penOf(ink, largestOf(keep, (number) => sides[number]));
    if (pen > WIDEST * window) return nothing;
  }
  const rings = ringsOf(ink, [...keep].sort((one, other) => one - other));
  const { frames, isRound } = framesOf(ink, rings, pen);
  let rest = keep.filter((number) => !frames.includes(number));
  let points = rest.filter((number) => sides[number] < POINT * pen && !details.includes(number));
  if (points.length === rest.length) points = [];
  else rest = rest.filter((number) => !points.includes(number));
  const groups = groupSymbols(rest.map((number) => parts.boxes[number]))
    .map((group) => foundOf(ink, group.map((place) => rest[place])))
    .filter((group) => group.side >= SMALLEST)
    .sort((one, other) => other.side - one.side);
  if (!groups.length) return nothing;
  const near = pointsNear(parts, points, groups[0], pen, sides, window);
  const specks = parts.areas.length - frames.length - groups.reduce((sum, group) => sum + group.numbers.length, 0) - near.length;
  if (specks) dropped.push(`${specks} speck${specks === 1 ? "" : "s"}`);
  const framed = frames.length ? foundOf(ink, [...frames, ...rest, ...near]) : null;
  const inner = rest.filter((number) => !rings.includes(number));
  const bare = !frames.length && inner.length && inner.length < rest.length ? foundOf(ink, inner) : null;
  const isFace = isRound && groups.length >= FACE;
  return { ink, symbols: groups, framed, isFace, bare, points: near.length ? foundOf(ink, near) : null, pen, dropped };
}

// The parts that the picture's border does not cut off, largest first.
function insideOf({ contrast: { width, height }, parts }, sides, window, dropped) {
  let inside = parts.boxes.map(([x, y, w, h]) => x > 0 && y > 0 && x + w < width && y + h < height);
  if (window === null || !inside.some((own, part) => own && sides[part] >= SMALLEST)) inside = inside.map(() => true);
  else if (!inside.every((own) => own)) dropped.push("what the picture's border cuts off");
  const keep = parts.areas.map((_, part) => part).filter((part) => inside[part] && (parts.areas[part] >= 2 || window === null));
  return keep.sort((one, other) => parts.areas[other] - parts.areas[one]).slice(0, MOST_PARTS);
}

function withoutSpecks(parts, keep, sides, pen, window, details) {
  const isSpeck = (number) => !(sides[number] >= SPECK * pen);
  const specks = keep.filter(isSpeck);
  if (window === null && specks.length === 1 && parts.areas[specks[0]] === 1) return keep; // one pixel in a drawing is nothing
  return keep.filter((number) => !isSpeck(number) || details.includes(number));
}

// Parts that lie within the box of a filled shape, the largest: dots of a telephone's dial are no specks.
function detailsOf({ boxes, pens }, keep, sides) {
  const [x, y, w, h] = boxes[keep[0]];
  if (4 * Math.max(w, h) > FILLED * pens[keep[0]]) return [];
  return keep.filter((number) => {
    const [left, top, wide, high] = boxes[number];
    return left > x && top > y && left + wide < x + w && top + high < y + h && sides[number] >= DETAIL;
  });
}

// The points that belong to the largest group.
function pointsNear(parts, points, { box, side }, pen, sides, window) {
  const apart = (point) => gap(parts.boxes[point], box);
  let near = points;
  if (window === null) near = near.filter((point) => !(apart(point) > POINT_REACH * side && sides[point] < FAR_POINT * pen));
  else near = near.filter((point) => apart(point) <= POINT_REACH * side);
  return near.length > MOST_POINTS ? [] : near;
}

export function foundOf(ink, numbers) {
  const box = union(numbers.map((number) => ink.parts.boxes[number]));
  return { ink, numbers, box, side: sideOf(box) };
}

// Whether a part is straight and long, as rules and pencils are.
export function isStraight({ boxes, pens, areas }, number) {
  const [, , w, h] = boxes[number];
  const pen = pens[number];
  return 4 * Math.max(w, h) >= LONG * pen && 16 * areas[number] ** 2 <= STRAIGHT * (w ** 2 + h ** 2) * pen ** 2;
}

// Whether paper surrounds a part on all sides: a gap between strokes, or the tip of something wide, borders on its like.
export function isOnPaper({ contrast: { width, height }, parts, grey, paper, light }, number) {
  const [x, y, w, h] = parts.boxes[number];
  const around = 4 + (Math.max(w, h) >> 3);
  const [left, top] = [Math.max(0, x - around), Math.max(0, y - around)];
  const [right, bottom] = [Math.min(width, x + w + around), Math.min(height, y + h + around)];
  const step = 1 + Math.floor(((right - left) * (bottom - top)) / 16384);
  const own = parts.mask([number], left, top, right, bottom);
  const [levels, papers] = [[], []];
  for (let row = top; row < bottom; row += step) {
    for (let column = left; column < right; column += step) {
      papers.push(paper.pixels[row * width + column]);
      if (own.pixels[(row - top) * own.width + column - left]) levels.push(grey.pixels[row * width + column]);
    }
  }
  if (!levels.length) return true;
  levels.sort((one, other) => one - other);
  const tenth = Math.floor(levels.length / 10);
  const level = levels[light ? levels.length - 1 - tenth : tenth];
  const mean = Math.trunc(papers.reduce((sum, value) => sum + value, 0) / papers.length);
  const limit = level + Math.floor((mean - level) / 4);
  const beyond = papers.filter((value) => (light ? value > limit : value < limit)).length;
  return beyond / papers.length < 0.12;
}

// About the width of the pen that drew a part.
const penOf = (ink, number) => Math.max(1, ink.parts.pens[number] / 4);

