// Every symbol of a page, photograph, scan or screenshot, as oneshot_runtime/vision/page.py.

import { ImageError } from "../errors.js";
import { bestGlance, boldRow, readable, readingsOf } from "./glance.js";
import { commonSide, median, union } from "./grouping.js";
import { readings } from "./readings.js";
import { areRow } from "./rows.js";
import { isDot } from "./ways.js";

const SMALL = 0.25; // share of the usual side below which something beside the symbols is none
const [FEW, BITS, SOFT] = [6, 0.75, 0.1]; // how many bits of one symbol are found, how much of it they take, how far they stick out
const MOST = 400; // symbols that are read, largest first
const [LEAST_STEPS, SLANTED] = [3, 50]; // steps that show a slant, at least; lines that fall one pixel in more than so many are straight

// The symbols of a picture in the order of reading, from line to line, and along the line: of each the ways to read it.
export function symbolsOfPage(picture) {
  let seen = bestGlance(picture.grey);
  let symbols = chosen(readable(seen));
  if (symbols.length <= FEW && !(symbols.length && areRow(symbols.map(([{ box }]) => box)))) {
    const bold = boldRow(picture.grey);
    const several = bold ? chosen(readable(bold)) : [];
    if (several.length > symbols.length) [seen, symbols] = [bold, several];
  }
  const found = readingsOf(seen, inOrder(symbols));
  const alone = found.length <= FEW ? aloneIn(picture) : [];
  return alone.length && (found.length === 1 || areBits(found, alone[0])) ? [alone] : found;
}

// The ways to read a picture of one symbol, which may be of wide ink, or as light as its paper; none for other pictures.
function aloneIn(picture) {
  try {
    const ways = readings(picture);
    return ways[0].symbols === 1 ? ways : [];
  } catch (error) {
    if (error instanceof ImageError) return [];
    throw error;
  }
}

// Whether what was found is much less than one symbol; or nothing, where that is not the whole picture for want of one.
function areBits(found, { box: [x, y, w, h], whole, bounds }) {
  if (!found.length) return !whole || bounds !== null;
  const [left, top, width, height] = union(found.map(([{ box }]) => box));
  const soft = SOFT * Math.max(w, h);
  const inside = left + soft >= x && top + soft >= y && left + width - soft <= x + w && top + height - soft <= y + h;
  return inside && width * height < BITS * w * h;
}

function chosen(symbols) {
  const sides = symbols.map(([{ side }]) => side);
  if (!sides.length) return [];
  const many = commonSide(symbols.filter(([one]) => !isDot(one)).map(([{ side }]) => side), 1);
  const usual = many || median(sides.filter((side) => 2 * side >= Math.max(...sides)));
  return symbols.filter(([{ side }]) => side >= SMALL * usual).sort(([one], [other]) => other.side - one.side).slice(0, MOST);
}

// By lines, slanted as most of them are: what overlaps the first of a line by half of its height belongs to the line.
function inOrder(symbols) {
  const [down, along] = slantOf(symbols.map(([{ box }]) => box));
  const tops = symbols.map(([{ box: [x, y, w] }]) => y - Math.floor((down * (2 * x + w)) / (2 * along)));
  let waiting = symbols.map((one, at) => ({ one, top: tops[at] })).sort((one, other) => one.top - other.top);
  const ordered = [];
  while (waiting.length) {
    const [{ top: low, one: [{ box: [, , , height] }] }] = waiting;
    const isBeside = ({ top, one: [{ box: [, , , h] }] }) =>
      2 * (Math.min(low + height, top + h) - Math.max(low, top)) >= Math.min(height, h);
    const line = waiting.filter(isBeside);
    ordered.push(...line.map(({ one }) => one).sort(([one], [other]) => one.box[0] - other.box[0]));
    waiting = waiting.filter((one) => !line.includes(one));
  }
  return ordered;
}

// How far lines of boxes fall, on so many pixels: the median of all steps to the next box on the right.
function slantOf(boxes) {
  const steps = [];
  for (const [x, y, w, h] of boxes) {
    let nearest = null;
    for (const [otherX, otherY, otherW, otherH] of boxes) {
      const right = 2 * otherX + otherW - 2 * x - w;
      const shared = Math.min(y + h, otherY + otherH) - Math.max(y, otherY);
      if (right <= 0 || 2 * shared < Math.min(h, otherH) || (nearest && right >= nearest[1])) continue;
      nearest = [2 * otherY + otherH - 2 * y - h, right];
    }
    if (nearest) steps.push(nearest);
  }
  if (steps.length < LEAST_STEPS) return [0, 1];
  steps.sort((one, other) => one[0] / one[1] - other[0] / other[1]);
  const [down, along] = steps[steps.length >> 1];
  return SLANTED * Math.abs(down) >= along ? [down, along] : [0, 1];
}
