// The ways to take what a scene shows as one symbol, as oneshot_runtime/vision/ways.py.

import { gap, union } from "./grouping.js";
import { areRow } from "./rows.js";
import { isStraight } from "./segment.js";

const REACH = 0.8; // strokes belong to one symbol up to this gap, as a share of the longer side of its largest group
const [PUNCHED, PUNCHED_SHARE] = [2.2, 0.25]; // pen widths from which a dot may be a hole, and its share of the largest side at most
const [ALIGNED_GAP, ALIGNED_SHARE] = [0.2, 0.35]; // how far dots in a line are from a symbol that is not theirs, and how large
const DOT_REACH = 0.5; // the same for dots
const SHARE = 0.25; // share of the largest group's side that another has at least, to be part of the same symbol
const [BIT, FAR, CLIPPED] = [0.4, 0.6, 0.2]; // how large what lies beside a symbol is, how far what hardly is a stroke, and what is cut off
// A straight thing may be a pencil beside the symbol when it is so many times as long, and hardly a stroke of it when so many times as wide.
const [LONGER, LONGEST, WIDER] = [1.2, 3, 1.5];
const BAYS = 1.25; // the outline of a dot over that of its box, at most: bays make it longer
export const DRAWING = 128; // pixels of the longer side below which a picture in doubt is a drawing, whose strokes may run out of it
export const FEW_GROUPS = 4; // groups of more than so many are several symbols
const [MOST_RAYS, RAYS, OFF] = [16, 4, 8]; // groups around a middle that are one symbol, see _is_radial there

// How many symbols a scene shows: all of a row; one where its strokes are near each other, or few on even paper, or dots.
export function countSymbols(scene, even) {
  const strokes = scene.symbols.filter((one) => !isDot(one));
  if (!strokes.length) return 1;
  if (areRow(strokes.map((one) => one.box))) return strokes.length;
  if (strokes.length > FEW_GROUPS) return !even && isRadial(scene.symbols) ? 1 : strokes.length;
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
  if (symbols.length <= FEW_GROUPS || symbols.length > MOST_RAYS || membersOf(symbols).length < symbols.length) return false;
  const [largest, box] = [symbols[0].box, union(symbols.map((one) => one.box))];
  const off = [0, 1].map((axis) => Math.abs(2 * largest[axis] + largest[axis + 2] - 2 * box[axis] - box[axis + 2]));
  const side = Math.max(box[2], box[3]);
  const [middle, ...rays] = symbols.map(({ ink, numbers }) => numbers.reduce((sum, number) => sum + ink.parts.areas[number], 0));
  return side <= RAYS * symbols[0].side && Math.max(...off) * OFF <= 2 * side && middle >= 2 * Math.max(...rays);
}

// The ways to read a scene as one symbol; where the paper is even, all ink is one before it is not.
export function waysOf(scene, even) {
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
  } else if (!even || points.length || holes.length || beside.length < dots.length || symbols.length > FEW_GROUPS) {
    const members = membersOf(kept);
    if (kept.length <= FEW_GROUPS) ways.push([...members, ...beside, ...points]);
    if (kept.length > 1 || points.length) ways.push(kept.length <= FEW_GROUPS && points.length ? [...members, ...beside] : [largest]);
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

// Whether what lies beside a symbol is far from it, and a pencil, wider than its strokes, or small and no dot; or a clip.
function isFar(one, symbols) {
  const { side } = symbols[0];
  const apart = Math.min(...symbols.map((other) => gap(one.box, other.box)));
  const { width, height } = one.ink.contrast;
  if (Math.max(width, height) >= DRAWING && isCutOff(one) && !symbols.some(isCutOff)) return apart > CLIPPED * side;
  const isPencil = one.side > side && penOf(one) >= WIDER * penOf(symbols[0]);
  return (isPencil || (one.side <= BIT * side && !isDot(one))) && apart > FAR * side;
}

const penOf = ({ ink, numbers }) => Math.max(...numbers.map((number) => ink.parts.pens[number]));

const isCutOff = (one) => edgesReached(one) > 0;

// How many of the picture's edges it reaches.
export function edgesReached({ ink: { contrast: { width, height } }, box: [x, y, w, h] }) {
  return [x === 0, y === 0, x + w === width, y + h === height].filter(Boolean).length;
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

// Whether it is a blob, about as wide as high, that a pen or a punch leaves.
export function isDot({ ink, numbers, box: [, , width, height] }) {
  const [area, pen] = [ink.parts.areas[numbers[0]], ink.parts.pens[numbers[0]]];
  if (numbers.length > 1 || 5 * area < 3 * width * height || 4 * Math.max(width, height) > 6 * Math.min(width, height)) return false;
  return 5 * area <= BAYS * (width + height) * (pen + 1); // a letter's outline is longer than that of its box
}

function together(members) {
  const box = union(members.map((one) => one.box));
  return { ink: members[0].ink, numbers: members.flatMap((one) => one.numbers), box, side: Math.max(box[2], box[3]) };
}
