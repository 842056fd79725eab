// The page: draw, teach, and see the answer while drawing; read pictures with several symbols and name them. Drawing area, answer,
// stage and cards are those of `oneshot serve`; the model and the gallery are in this browser, by the package in js/.

import { load } from "../../js/src/browser.js";
import { pngOf } from "../../js/src/thumbnail.js";
import { showIdle, showMatch } from "../../oneshot_runtime/server/static/answer.js";
import { Pad } from "../../oneshot_runtime/server/static/pad.js";
import { Reading } from "../../oneshot_runtime/server/static/reading.js";
import { Stage } from "../../oneshot_runtime/server/static/stage.js";
import { element, toast } from "../../oneshot_runtime/server/static/widgets.js";
import { KnownSymbols } from "./known-symbols.js";

const BUNDLE = new URL("../../oneshot_runtime/models/edge/", import.meta.url);
const RUNTIME = "../../js/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
const GALLERY = "page"; // its name in this browser
const WHILE_DRAWING = 80; // milliseconds between two looks at an unfinished stroke

const at = (id) => document.getElementById(id);
const failed = (error) => toast(error.message, true);
const others = new BroadcastChannel("oneshot"); // tabs of this page, to be told that the gallery has changed

let matcher = null;
let pad = null;
let known = null;
let stage = null;
let reading = null;
let newest = 0; // numbers the states of the drawing
let timer = 0;

const drawn = () => (pad.pictures.length ? pad.pictures : pad.sheets());

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
    showIdle(matcher.gallery.size ? "Waiting for a drawing" : "Nothing taught yet");
  } else {
    try {
      const match = await matcher.match(drawn()[0]);
      if (state !== newest) return;
      showMatch(match, performance.now() - start, done, { chosen: choose, picture: (label) => known.picture(label) });
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

async function teach(event) {
  event.preventDefault();
  if (pad.empty) return;
  const label = at("name").value.trim();
  try {
    await matcher.enroll(label, drawn());
    pad.clear();
    at("name").value = "";
    taught(label);
    showIdle("Now draw it again");
    at("pad").focus({ preventScroll: true });
  } catch (error) {
    failed(error);
  }
}

function taught(label) {
  known.show(label);
  others.postMessage("changed");
  toast(`“${label}” is known.`);
}

// How the stage reads a picture with several symbols, see reading.js.
const reader = {
  prepare: async (sheet) => sheet,
  async read(sheet) {
    const symbols = await matcher.read(sheet, 3);
    for (const symbol of symbols) {
      const { data, width, height } = symbol.crop;
      symbol.pixels = symbol.crop;
      symbol.crop = new Blob([await pngOf({ pixels: data, width, height })], { type: "image/png" });
    }
    return { width: sheet.width, height: sheet.height, symbols };
  },
  teach: (label, { pixels }) => matcher.enroll(label, pixels),
};

async function take(files) {
  try {
    const archive = files.find((file) => file.name.toLowerCase().endsWith(".npz"));
    if (archive) return await importGallery(archive);
    const pictures = await Promise.all(files.map(decoded));
    if (!pictures.length) return undefined;
    if (pictures.length === 1 && await reading.open(pictures[0])) return undefined;
    stage.close();
    pad.show(pictures);
    if (pictures.length > 1) toast(`${pictures.length} pictures: the first is asked about, all are taught.`);
  } catch (error) {
    failed(error);
  }
  return undefined;
}

async function decoded(file) {
  try {
    return await createImageBitmap(file);
  } catch {
    throw new Error(`“${file.name}” is no picture that this browser can show.`);
  }
}

async function importGallery(file) {
  const added = await matcher.importGallery(new Uint8Array(await file.arrayBuffer()));
  known.show();
  others.postMessage("changed");
  toast(`${added} ${added === 1 ? "picture" : "pictures"} added; ${matcher.labels.length} symbols are known.`);
  await look(true);
}

function exportGallery() {
  const address = URL.createObjectURL(new Blob([matcher.exportGallery()]));
  element("a", { href: address, download: "gallery.npz" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

// Another tab taught or removed.
async function reload() {
  await matcher.gallery.reload();
  known.show();
  await look(true);
}

function acceptFiles() {
  for (const [button, field] of [["upload", "pictures"], ["import", "archive"]]) {
    at(button).addEventListener("click", () => at(field).click());
    at(field).addEventListener("change", () => { take([...at(field).files]); at(field).value = ""; });
  }
  let depth = 0;
  const mark = (by) => { depth = Math.max(0, depth + by); at("paper").classList.toggle("over-paper", depth > 0); };
  document.addEventListener("dragenter", () => mark(1));
  document.addEventListener("dragleave", () => mark(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-depth);
    take([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => take([...event.clipboardData.files]));
}

async function start() {
  showIdle("Loading the model …");
  const ort = await import(RUNTIME).catch(() => {
    throw new Error("onnxruntime-web is not there: run `npm ci --prefix js` in the checkout.");
  });
  ort.env.wasm.numThreads = 1; // several need headers that a plain file server does not send
  const begun = performance.now();
  matcher = await load({ bundle: BUNDLE, gallery: GALLERY, runtime: ort });
  at("engine").textContent = `The model (${matcher.precision}) runs in this browser, by onnxruntime-web ${ort.env.versions.web}; ` +
    `loaded in ${Math.round(performance.now() - begun)} ms. Nothing leaves it.`;
  pad = new Pad(at("pad"), changed);
  known = new KnownSymbols(matcher, () => { others.postMessage("changed"); look(true); });
  stage = new Stage(() => { at("upload").focus(); look(true); });
  reading = new Reading(stage, reader, { taught, whole: (picture) => pad.show([picture]) });
  at("undo").addEventListener("click", () => pad.undo());
  at("clear").addEventListener("click", () => pad.clear());
  at("teach").addEventListener("submit", teach);
  at("export").addEventListener("click", () => { try { exportGallery(); } catch (error) { failed(error); } });
  others.addEventListener("message", () => reload().catch(failed));
  acceptFiles();
  known.show();
  await look(true);
}

start().catch((error) => {
  showIdle("This page cannot start");
  at("reason").textContent = error.message;
  failed(error);
});
// Only the built page has what its service worker needs, see build.js.
if ("offline" in document.documentElement.dataset) navigator.serviceWorker?.register("service-worker.js").catch(failed);
