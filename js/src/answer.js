// From a query's code to its answer, as `_answer` in oneshot_runtime/matcher.py and clearly_ahead in results.py.

import { probability } from "./codes.js";
import { threshold } from "./thresholds.js";

const [LEAST, LEAD] = [0.5, 7]; // of a refused candidate that is named: its probability, and how many times the runner-up's odds

// ranked: classes, best first, as Gallery.ranked gives them. gallery: how many classes and supports it has. readings: in how many
// ways the picture was tried: the best of several is the best of so many times the comparisons. Returns a Match, see index.d.ts.
export function answerOf(ranked, { head, thresholds }, far, gallery, topK, readings = 1) {
  const candidates = ranked.map(({ label, distance }) => ({ label, probability: probability(distance, head) }));
  const [first, second] = candidates;
  const listed = candidates.slice(0, topK);
  const match = { label: null, probability: 0, candidates: listed, threshold: null, probably: null, symbols: 1, readings: 1 };
  if (!first) return match;
  match.probability = first.probability;
  match.threshold = far === null ? 0 : threshold(thresholds, far, gallery.classes * readings, gallery.supports / gallery.classes);
  if (first.probability >= match.threshold) match.label = first.label;
  else if (isClearlyAhead(first.probability, second?.probability)) match.probably = first.label;
  return match;
}

// Whether a best candidate is worth naming though it was refused.
function isClearlyAhead(best, runnerUp) {
  return best >= LEAST && (runnerUp === undefined || best * (1 - runnerUp) >= LEAD * runnerUp * (1 - best));
}

// Of the answers to all ways of reading one picture, the surest.
export function surest(matches, ways) {
  if (ways.length === 1 && ways[0].symbols === 1) return matches[0];
  const best = matches.reduce((one, other) => (other.probability > one.probability ? other : one));
  return { ...best, symbols: ways[0].symbols, readings: ways.length };
}
