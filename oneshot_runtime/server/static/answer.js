// What the drawing is said to be: verdict, bars and the line from which a symbol counts as known.

import { element } from "./widgets.js";

const at = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

export function showIdle(text) {
  at("answer").dataset.state = "idle";
  at("verdict").textContent = text;
  at("reason").textContent = at("latency").textContent = at("spoken").textContent = "";
  at("bars").hidden = true;
}

// done: the stroke is complete, so the answer is also spoken. chosen(label): a candidate was clicked. picture(label): an image of
// a candidate.
export function showMatch(match, milliseconds, done, { chosen, picture }) {
  const known = match.label !== null;
  at("answer").dataset.state = known ? "known" : "unknown";
  at("verdict").textContent = known ? match.label : match.probably === null ? "Unknown" : `Probably ${match.probably}`;
  at("reason").textContent = reason(match);
  at("latency").textContent = `${Math.round(milliseconds)} ms`;
  at("latency").title = "From the last movement of the pen to this answer";
  if (done) at("spoken").textContent = `${at("verdict").textContent}. ${at("reason").textContent}`;
  at("bars").hidden = !match.candidates.length;
  showThreshold(match.threshold);
  const rows = at("candidates");
  while (rows.children.length > match.candidates.length) rows.lastChild.remove();
  match.candidates.forEach((candidate, place) => {
    const row = rows.children[place] ?? rows.appendChild(makeRow(chosen));
    showRow(row, candidate, picture);
  });
}

function reason({ label, probably, probability, threshold, candidates }) {
  if (!candidates.length) return "Nothing is taught yet. Name it to teach it.";
  if (probably !== null) return `${percent(probability)} probable, ${percent(threshold)} are needed. Name it to teach it.`;
  if (label === null) return `No known symbol reaches ${percent(threshold)}. Name it to teach it.`;
  return `${percent(probability)} probable that it is the same symbol.`;
}

function showThreshold(threshold) {
  const line = at("threshold");
  line.hidden = !threshold;  // null: nothing is taught, 0: nothing is refused
  if (line.hidden) return;
  line.style.left = `${100 * threshold}%`;
  line.classList.toggle("right", threshold > 0.6);
  at("threshold-text").textContent = `threshold ${percent(threshold)}`;
}

function makeRow(chosen) {
  const button = element("button", { type: "button", className: "candidate" },
    element("span", { className: "who" }, element("span", { className: "thumb" }), element("span")),
    element("span", { className: "track" }, element("div", { className: "bar" })),
    element("span", { className: "number" }));
  button.addEventListener("click", () => chosen(button.dataset.label));
  return element("li", {}, button);
}

function showRow(row, { label, probability }, picture) {
  const button = row.firstChild;
  const [who, track, number] = button.children;
  if (button.dataset.label !== label) {
    button.dataset.label = label;
    const thumb = picture(label);
    thumb.className = "thumb";
    who.firstChild.replaceWith(thumb);
    who.lastChild.textContent = label;
    button.title = "Use this name";
  }
  track.firstChild.style.width = `${100 * probability}%`;
  number.textContent = percent(probability);
  button.ariaLabel = `${label}, ${percent(probability)}: use this name`;
}
