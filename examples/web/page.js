// The page: draw, teach, and see the answer while drawing. Drawing area, answer and cards are those of `oneshot serve`.

import { showIdle, showMatch } from "../../oneshot_runtime/server/static/answer.js";
import { SHOWN, card } from "../../oneshot_runtime/server/static/card.js";
import { Pad } from "../../oneshot_runtime/server/static/pad.js";
import { ask, element, toast } from "../../oneshot_runtime/server/static/widgets.js";
import { encode, probability, sad } from "./codes.js";
import { Gallery } from "./gallery.js";
import { loadModel } from "./model.js";
import { preprocess } from "./preprocess.js";

const BUNDLE = new URL("../../oneshot_runtime/models/edge/", import.meta.url);
const RUNTIME = "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
const FAR = 0.05; // share of strangers that may get a label, as with `oneshot serve`
const WHILE_DRAWING = 80; // milliseconds between two looks at an unfinished stroke
const THUMBNAIL = 96;

const at = (id) => document.getElementById(id);
const failed = (error) => toast(error.message, true);

let model = null;
let gallery = null;
let pad = null;
let newest = 0; // numbers the states of the drawing
let timer = 0;

async function embedded(sheet) {
  const pixels = sheet.getContext("2d").getImageData(0, 0, sheet.width, sheet.height);
  return model.embed(preprocess(pixels, model.spec));
}

function changed(done) {
  newest += 1;
  at("answer").ariaBusy = "true";
  at("paper").classList.toggle("drawn", !pad.empty);
  at("undo").disabled = at("clear").disabled = at("teach-button").disabled = pad.empty;
  if (!done) {
    timer ||= setTimeout(() => { timer = 0; look(false); }, WHILE_DRAWING);
    return;
  }
  clearTimeout(timer);
  timer = 0;
  look(true);
}

async function look(done) {
  const [state, start] = [newest, performance.now()];
  if (pad.empty) {
    showIdle(gallery.supports.length ? "Waiting for a drawing" : "Nothing taught yet");
  } else {
    try {
      const code = encode(await embedded(pad.sheets()[0]), model.head);
      if (state !== newest) return;
      const match = gallery.match(code, FAR);
      showMatch(match, performance.now() - start, done, { chosen: choose, picture: (label) => image(gallery.pictures(label)[0]) });
    } catch (error) {
      if (done) failed(error);
    }
  }
  if (done) at("answer").ariaBusy = "false";
}

function choose(label) {
  at("name").value = label;
  at("name").focus();
}

const image = (src) => element("img", { src, alt: "" });

function thumbnail(sheet) {
  const small = element("canvas", { width: THUMBNAIL, height: THUMBNAIL });
  small.getContext("2d").drawImage(sheet, 0, 0, THUMBNAIL, THUMBNAIL);
  return small.toDataURL("image/png");
}

async function teach(event) {
  event.preventDefault();
  if (pad.empty) return;
  const label = at("name").value.trim();
  try {
    const [sheet] = pad.sheets();
    gallery.add(label, [{ code: encode(await embedded(sheet), model.head), picture: thumbnail(sheet) }]);
    pad.clear();
    at("name").value = "";
    showGallery(label);
    showIdle("Now draw it again");
    toast(`“${label}” is known.`);
    at("pad").focus({ preventScroll: true });
  } catch (error) {
    failed(error);
  }
}

async function remove({ label, supports }) {
  at("remove-title").textContent = `Remove “${label}”?`;
  at("remove-text").textContent = supports === 1 ? "Its drawing is deleted." : `Its ${supports} drawings are deleted.`;
  if (!await ask("remove-dialog")) return;
  gallery.remove(label);
  showGallery();
  toast(`“${label}” is forgotten.`);
  look(true);
}

function showGallery(fresh = null) {
  const classes = gallery.classes.reverse(); // what was taught last comes first
  at("count").textContent = classes.length ? `${classes.length} ${classes.length === 1 ? "symbol" : "symbols"}` : "";
  at("empty").hidden = classes.length > 0;
  at("names").replaceChildren(...classes.map(({ label }) => element("option", { value: label })));
  at("classes").replaceChildren(...classes.map((entry) => {
    const pictures = gallery.pictures(entry.label).slice(-SHOWN).map(image);
    return card(entry, pictures, { Remove: () => remove(entry).catch(failed) }, entry.label === fresh);
  }));
}

// Draw two strokes, embed them, and compare them by head.onnx and by their codes: the same to two digits, or this browser reckons wrong.
async function selfCheck() {
  const rows = await Promise.all([[0.2, 0.8], [0.5, 0.3]].map(([from, to]) => {
    const sheet = element("canvas", { width: 64, height: 64 });
    const context = sheet.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, 64, 64);
    context.fillStyle = "#000";
    context.fillRect(64 * Math.min(from, to), 8, 5, 48);
    context.fillRect(8, 64 * Math.max(from, to), 48, 5);
    return embedded(sheet);
  }));
  const byHead = await model.compare(...rows);
  const byCode = probability(sad(...rows.map((row) => encode(row, model.head))), model.head);
  if (!(Math.abs(byHead - byCode) < 0.01)) throw new Error(`This browser reckons wrong: ${byHead} by head.onnx, ${byCode} by codes.`);
}

async function start() {
  showIdle("Loading the model …");
  const ort = await import(RUNTIME).catch(() => {
    throw new Error("onnxruntime-web is not there: run `npm ci` in examples/web.");
  });
  ort.env.wasm.numThreads = 1; // several need headers that a plain file server does not send
  const begun = performance.now();
  model = await loadModel(BUNDLE, ort);
  await selfCheck();
  at("engine").textContent = `embedding.onnx and head.onnx run in this browser, by onnxruntime-web ${ort.env.versions.web}; ` +
    `loaded in ${Math.round(performance.now() - begun)} ms. Nothing leaves it.`;
  gallery = new Gallery(model, localStorage);
  pad = new Pad(at("pad"), changed);
  at("undo").addEventListener("click", () => pad.undo());
  at("clear").addEventListener("click", () => pad.clear());
  at("teach").addEventListener("submit", teach);
  addEventListener("storage", () => { gallery.reload(); showGallery(); look(true); }); // another tab taught or removed
  showGallery();
  await look(true);
}

start().catch((error) => {
  showIdle("This page cannot start");
  at("reason").textContent = error.message;
  failed(error);
});
