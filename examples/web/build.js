// Gathers the page in one folder that any host of static files can serve: node examples/web/build.js FOLDER, after `npm ci --prefix js`.

import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const PAGE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(PAGE, "../..");
const PARTS = ["answer.js", "boxes.js", "card.js", "icon.svg", "pad.js", "page.css", "reading.js", "stage.js", "widgets.js"];
const TEXT = /\.(js|html|css|webmanifest)$/;

// Where a folder of the checkout goes, and which of its files.
const MOVES = [
  ["examples/web", "", (name) => TEXT.test(name) && name !== "build.js"],
  ["js/src", "oneshot", (name) => name.endsWith(".js") && !["node.js", "file-store.js"].includes(name)],
  ["oneshot_runtime/server/static", "parts", (name) => PARTS.includes(name)],
  ["oneshot_runtime/models/edge", "model", () => true],
  ["js/node_modules/onnxruntime-web/dist", "onnxruntime", (name) => ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"].includes(name)],
];
const LATER = ["model/embedding.onnx"]; // fetched only where the int8 graph comes out wrong

function filesBelow(folder) {
  return readdirSync(folder).sort().flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}

// The page's files name others by where they lie in the checkout.
function moved(text) {
  for (const [from, to] of MOVES.slice(1)) text = text.replaceAll(`../../${from}/`, `./${to}/`);
  return text.replace('<html lang="en">', '<html lang="en" data-offline>');
}

function build(target, onnxruntime) {
  for (const [from, to, wanted] of MOVES) {
    const folder = to === "onnxruntime" && onnxruntime ? onnxruntime : join(ROOT, from);
    if (!existsSync(folder)) throw new Error(`${folder} is not there: run \`npm ci --prefix js\` first`);
    for (const path of filesBelow(folder)) {
      const name = relative(folder, path);
      if (!wanted(name)) continue;
      const goal = join(target, to, name);
      mkdirSync(dirname(goal), { recursive: true });
      if (to === "") writeFileSync(goal, moved(readFileSync(path, "utf8")));
      else cpSync(path, goal);
    }
  }
  const files = filesBelow(target).map((path) => relative(target, path).split(sep).join("/"));
  const kept = files.filter((name) => !LATER.includes(name) && !["files.js", "service-worker.js"].includes(name));
  const sum = createHash("sha256");
  for (const name of kept) sum.update(name).update(readFileSync(join(target, name)));
  const list = JSON.stringify(["./", ...kept], null, 1);
  writeFileSync(join(target, "files.js"), `const VERSION = "${sum.digest("hex").slice(0, 16)}";\nconst FILES = ${list};\n`);
  console.log(`${files.length} files in ${target}`);
}

const [target, onnxruntime] = process.argv.slice(2);
if (!target) throw new Error("usage: node examples/web/build.js FOLDER [FOLDER OF onnxruntime-web/dist]");
build(resolve(target), onnxruntime && resolve(onnxruntime));
