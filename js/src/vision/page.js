// Every symbol of a page, photograph, scan or screenshot, as oneshot_runtime/vision/page.py.

import { median } from "./grouping.js";
import { readingsOfPage } from "./readings.js";

const SMALL = 0.25; // share of the usual side below which something beside the symbols is none
const LONG = 12; // a stroke so many times as long as it is wide is a rule, when it is longer than the symbols, too
const MOST = 400; // symbols that are read, largest first

// The symbols of a picture, each cut out as a reading, in the order of reading: from line to line, and along the line.
export const symbolsOfPage = ({ grey }) => readingsOfPage(grey, chosen);

function chosen({ symbols }) {
  if (!symbols.length) return [];
  const usual = median(symbols.filter((one) => 2 * one.side >= symbols[0].side).map((one) => one.side));
  const kept = symbols.filter((one) => one.side >= SMALL * usual && !isRule(one, usual)).slice(0, MOST);
  return inOrder(kept);
}

function isRule({ side, box }, usual) {
  return side > 1.5 * usual && side >= LONG * Math.min(box[2], box[3]);
}

// By lines: what overlaps the first of a line by half of its height belongs to the line.
function inOrder(symbols) {
  let waiting = [...symbols].sort((one, other) => one.box[1] - other.box[1]);
  const ordered = [];
  while (waiting.length) {
    const [, low, , height] = waiting[0].box;
    const high = low + height;
    const isBeside = ({ box: [, y, , h] }) => 2 * (Math.min(high, y + h) - Math.max(low, y)) >= Math.min(height, h);
    const line = waiting.filter(isBeside);
    ordered.push(...line.sort((one, other) => one.box[0] - other.box[0]));
    waiting = waiting.filter((one) => !line.includes(one));
  }
  return ordered;
}
