// One look at a picture, or at a part of it: its symbols, as oneshot_runtime/vision/glance.py looks at stills.

import { commonSide, median, sideOf, usualSide } from "./grouping.js";
import { crop, roundHalfEven } from "./image.js";
import { inkByParts, smoothed } from "./ink-by-parts.js";
import { filledIn, isCarrier } from "./outline.js";
import { readingOf } from "./readings.js";
import { reduce } from "./resample.js";
import { ringsOf } from "./rings.js";
import { areRow, groupSymbols } from "./rows.js";
import { foundOf, isOnPaper, isStraight } from "./segment.js";
import { alone, findSheet } from "./sheet-on-desk.js";

const PIXELS = 1024 * 768; // of the picture in which ink is looked for, at most
const [BOLD_PIXELS, BOLD_SHARE] = [320 * 240, 5]; // the same for a row of bold letters
const [PEN_SHARE, STRIP_SHARE, THICKEST] = [13, 18, 3]; // the picture's size over the width of the widest pen
const MOST_PARTS = 400; // parts that are looked at, largest first
const LEAST = 16; // pixels of the picture that a symbol's longer side has at least
const SMALL = 0.25; // share of the usual symbol's side below which something beside the symbols is none
const [FAR_SHEET, AROUND] = [3, 0.15]; // the picture over a sheet that is looked at closely, and how much around it
const [WIDEST, FILLED, BESIDE] = [0.34, 0.45, 0.5]; // pens and filling of what is no ink but a sheet, and how much around it
const [SOLID, MOST] = [1.6, 2]; // a blob's box over its area, and parts that are alike are most of a page's, see there
const LONGER = 2; // a rule is so many times as long as symbols are large
const UNEVEN = 8; // contrast of most of the picture that halves what its ink is worth
const CLOSE = 10; // a close look shows one part in so many of the whole picture's ink
const [ALIKE, FEW] = [1.6, 3]; // how different in size bold letters are, and how few are none
const OUTLINE = 128; // pixels of a part's longer side at which its outline is looked at
const [MARKS, FULL] = [0.12, 4]; // share of marks around something on a desk full of them, and around one of how many things
const [RING, LIKE_OTHERS] = [3, 1.3]; // how large a ring is that may be part of a symbol, and one that likely is

// A glance is { grey, left, top, factor, light, found, amount, sheet }, see Glance in glance.py.

// Symbols cut out, each with the ways to read it, with their boxes in the picture.
export function readingsOf({ grey, left, top, factor }, chosen) {
  return chosen.map((ways) => ways.map((one) => {
    const reading = readingOf(grey, one, factor);
    const [x, y, width, height] = reading.box;
    return { ...reading, box: [x + left, y + top, width, height] };
  }));
}

// The symbols that are large enough to be read.
export function readable({ found, factor }) {
  const usual = found.length ? median(found.map(([{ side }]) => side)) : 0;
  const least = Math.max(SMALL * usual, LEAST / factor);
  return found.filter(([{ side }]) => side >= least);
}

// The kind of ink, dark or light, that a picture shows most of; of the whole picture, or close to its sheet.
export function bestGlance(grey) {
  const glances = ofKinds(grey, [0, 0, grey.width, grey.height]);
  const seen = surest(glances);
  const sheet = findSheet(grey);
  const far = sheet && farSheet(grey, sheet);
  for (const area of [far, ...glances.map((one) => one.sheet)]) {
    const close = area && surest(ofKinds(grey, area));
    if (close && close.found.length >= seen.found.length && CLOSE * close.amount >= seen.amount) return close;
  }
  if (!sheet || far) return seen;
  const clear = seen.found.filter(([one]) => !isAmongMarks(one));
  if (FULL * (seen.found.length - clear.length) < seen.found.length) return seen;
  const close = surest(ofKinds(grey, sheet.box, sheet));
  const within = clear.filter(([{ box }]) => isWithin(box.map((value) => value * seen.factor), sheet.box));
  return close.found.length >= Math.max(1, within.length) ? close : seen;
}

// The row of bold letters that a picture shows from side to side, where it shows one; else null.
export function boldRow(grey) {
  const rows = ofKinds(grey, [0, 0, grey.width, grey.height], null, BOLD_PIXELS, BOLD_SHARE)
    .filter(({ found }) => found.length && areRow(found.map(([{ box }]) => box)));
  return rows.length === 2 ? surest(rows) : rows[0] ?? null;
}

const surest = ([dark, light]) => (light.amount > dark.amount ? light : dark);

// Around a sheet, where it is small in the picture; null where it is not.
function farSheet(grey, { box: [left, top, right, bottom] }) {
  if (FAR_SHEET * (right - left) * (bottom - top) >= grey.width * grey.height) return null;
  return around([left, top, right - left, bottom - top], AROUND, grey);
}

const isWithin = ([x, y, width, height], [left, top, right, bottom]) =>
  left <= x && top <= y && x + width <= right && y + height <= bottom;

// Whether a good part of what is around a symbol may be ink, too.
function isAmongMarks({ ink: { contrast: { pixels, width, height }, limit }, box: [x, y, w, h] }) {
  const reach = Math.max(2, Math.floor(Math.max(w, h) / 3));
  const [left, top] = [Math.max(0, x - reach), Math.max(0, y - reach)];
  const [right, bottom] = [Math.min(width, x + w + reach), Math.min(height, y + h + reach)];
  let marks = 0;
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const within = row >= y && row < y + h && column >= x && column < x + w;
      if (!within && pixels[row * width + column] >= limit) marks += 1;
    }
  }
  return marks >= MARKS * ((right - left) * (bottom - top) - w * h);
}

// Left, top, right and bottom of a box with that share of its sides around it, within a picture.
function around([x, y, width, height], share, grey) {
  const [across, down] = [roundHalfEven(share * width), roundHalfEven(share * height)];
  const [right, bottom] = [Math.min(grey.width, x + width + across), Math.min(grey.height, y + height + down)];
  return [Math.max(0, x - across), Math.max(0, y - down), right, bottom];
}

// The dark and the light ink in an area of a picture; of the sheet that is there alone.
function ofKinds(grey, area, sheet = null, pixels = PIXELS, penShare = PEN_SHARE) {
  const [left, top, right, bottom] = area;
  const part = crop(grey, left, top, right, bottom);
  let factor = 1;
  while (part.pixels.length > pixels * factor ** 2) factor += 1;
  const small = factor === 1 ? part : reduce(part, factor);
  const smooth = smoothed(sheet ? alone(sheet, small) : small);
  const narrow = Math.min(smooth.width, smooth.height);
  const strip = Math.floor(Math.floor(Math.sqrt(smooth.pixels.length)) / STRIP_SHARE);
  const widest = Math.max(7, Math.floor(narrow / penShare), Math.min(strip, Math.floor(narrow / THICKEST))) | 1;
  return [false, true].map((light) => {
    const { ink, usual } = inkByParts(smooth, light, widest) ?? { ink: null, usual: 0 };
    const { found, amount, wide } = ink ? symbolsOf(ink, widest) : { found: [], amount: 0, wide: null };
    const box = wide && wide.map((value, at) => value * factor + [left, top, 0, 0][at]);
    const worth = Math.floor((factor * amount * UNEVEN) / (UNEVEN + usual));
    return { grey: part, left, top, factor, light, found, amount: worth, sheet: box && around(box, BESIDE, grey) };
  });
}

// The symbols that ink makes up, how much of it there is, and the box of the largest thing that is too wide for ink.
function symbolsOf(ink, window) {
  const { boxes, areas, pens } = ink.parts;
  let numbers = areas.map((_, part) => part).sort((one, other) => areas[other] - areas[one]).slice(0, MOST_PARTS);
  numbers = numbers.filter((number) => isOnPaper(ink, number));
  const wide = numbers.filter((number) => {
    const [, , w, h] = boxes[number];
    const isWide = pens[number] > 4 * WIDEST * window && Math.min(w, h) >= window && areas[number] >= FILLED * (w * h);
    return isWide && isSheet(ink, number, numbers);
  });
  numbers = numbers.filter((number) => !wide.includes(number));
  const sheet = wide.length ? boxes[wide[0]] : null;
  if (!numbers.length) return { found: [], amount: 0, wide: sheet };
  const amount = numbers.reduce((sum, number) => sum + sideOf(boxes[number]) * ink.peaks[number] ** 3, 0);
  const rings = ringsOf(ink, numbers);
  numbers = numbers.filter((number) => !rings.includes(number));
  numbers = withoutRules(ink.parts, numbers);
  const grouped = groupSymbols(numbers.map((number) => boxes[number]), commonOf(ink.parts, numbers));
  const groups = grouped.map((group) => foundOf(ink, group.map((at) => numbers[at])));
  return { found: withRings(groups, rings), amount, wide: sheet };
}

// The side of most symbols of a page, by its parts; dots are none. 0 where that is not known.
function commonOf({ boxes, areas }, numbers) {
  const thin = numbers.filter((number) => SOLID * areas[number] < boxes[number][2] * boxes[number][3]);
  return commonSide(thin.map((number) => sideOf(boxes[number])), MOST);
}

// Parts without the straight lines that are longer than anything else is large.
function withoutRules(parts, numbers) {
  const straight = numbers.filter((number) => isStraight(parts, number));
  if (straight.length === numbers.length) return numbers;
  const usual = usualSide(numbers.filter((number) => !straight.includes(number)).map((number) => parts.boxes[number]));
  return numbers.filter((number) => !straight.includes(number) || !(sideOf(parts.boxes[number]) > LONGER * usual));
}

// Whether a wide part is a sheet or what is lit of it, and none of several bold letters, which are alike.
function isSheet({ parts }, number, others) {
  const [x, y, w, h] = parts.boxes[number];
  const own = Math.max(w, h);
  const alike = others.map((other) => sideOf(parts.boxes[other])).filter((side) => ALIKE * side >= own && side <= ALIKE * own);
  if (alike.length <= FEW) return true;
  const step = 1 + Math.floor(own / OUTLINE);
  const full = parts.mask([number], x, y, x + w, y + h);
  const mask = { width: Math.ceil(w / step) + 2, height: Math.ceil(h / step) + 2 };
  mask.pixels = new Uint8Array(mask.width * mask.height);
  for (let row = 0; row < mask.height - 2; row++) {
    for (let column = 0; column < mask.width - 2; column++) {
      mask.pixels[(row + 1) * mask.width + column + 1] = full.pixels[row * step * w + column * step];
    }
  }
  return isCarrier(mask, filledIn(mask), [1, 1, mask.width - 1, mask.height - 1]);
}

// Each group with the ways to read it: a ring that encloses one group alone may be part of the symbol.
function withRings(groups, rings) {
  const framed = new Map();
  for (const ring of [...rings].reverse()) { // the smallest last
    const { ink } = groups[0];
    const [x, y, w, h] = ink.parts.boxes[ring];
    const inside = groups.filter(({ box: [left, top, width, height] }) =>
      left >= x && top >= y && left + width <= x + w && top + height <= y + h);
    if (inside.length !== 1 || RING * inside[0].side < Math.max(w, h)) continue;
    framed.set(inside[0], foundOf(ink, [...inside[0].numbers, ring]));
  }
  const bare = groups.filter((one) => !framed.has(one));
  const usual = bare.length ? median(bare.map(({ side }) => side)) : 0;
  return groups.map((one) => {
    const ring = framed.get(one);
    if (!ring) return [one];
    return ring.side <= LIKE_OTHERS * usual ? [ring, one] : [one, ring];
  });
}
