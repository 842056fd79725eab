// What lies behind a transparent picture, as oneshot_runtime/vision/transparency.py.

import { histogram, ranked } from "./image.js";

const OPAQUE = 128; // alpha from which a pixel counts as visible
const ONE_COLOUR = 48; // grey levels that ink of one colour spreads over
const SOLID = 0.9; // share of each row, between its first and last visible pixel, that is visible in a card

// A grey image laid on its own paper: that of a card whose corners are cut off, or what shows ink that is alone.
export function laidOnPaper({ pixels, width, height }, alpha) {
  const premultiplied = isPremultiplied(pixels, alpha);
  const paper = paperLevel(pixels, alpha, premultiplied, width, height);
  const laid = pixels.map((level, at) => {
    const ink = premultiplied ? 255 * level : level * alpha[at];
    return Math.floor((ink + paper * (255 - alpha[at]) + 127) / 255);
  });
  return { pixels: laid, width, height };
}

function paperLevel(pixels, alpha, premultiplied, width, height) {
  const own = premultiplied ? pixels.map((level, at) => Math.min(255, Math.floor((255 * level) / alpha[at]))) : pixels;
  const counts = histogram(own.filter((_, at) => alpha[at] >= OPAQUE));
  const count = counts.reduce((sum, own) => sum + own, 0);
  if (!count || alpha.every((own) => own === 255)) return 255;
  const [low, middle, high] = [1, 10, 19].map((share) => ranked(counts, Math.floor((count * share) / 20)));
  const isCard = high - low > ONE_COLOUR || holdsInk(counts, count, middle);
  if (isCard && count >= SOLID * spans(alpha, width, height)) return middle;
  let [weight, visible] = [0, 0];
  for (let at = 0; at < pixels.length; at++) {
    weight += pixels[at] * alpha[at];
    visible += alpha[at];
  }
  return weight > 127 * visible ? 0 : 255;
}

// Pixels between the first and the last visible one of each row.
function spans(alpha, width, height) {
  let sum = 0;
  for (let y = 0; y < height; y++) {
    const row = alpha.subarray(y * width, (y + 1) * width);
    const first = row.findIndex((own) => own >= OPAQUE);
    if (first >= 0) sum += row.findLastIndex((own) => own >= OPAQUE) + 1 - first;
  }
  return sum;
}

// Whether something of another level is on the card, though it is less than a twentieth of it.
function holdsInk(counts, count, paper) {
  const far = counts.reduce((sum, own, level) => sum + (level < paper - ONE_COLOUR || level >= paper + ONE_COLOUR ? own : 0), 0);
  return 500 * far >= count;
}

// Whether colours were multiplied by alpha already: none is lighter than its alpha allows.
function isPremultiplied(pixels, alpha) {
  return alpha.some((own) => own > 0 && own < 255) && pixels.every((level, at) => level <= alpha[at]);
}
