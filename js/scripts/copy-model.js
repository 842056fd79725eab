// Copies the model into the package, for `npm pack`.

import { cpSync, mkdirSync } from "node:fs";

const FILES = ["manifest.json", "embedding.int8.onnx", "embedding.onnx", "head.onnx", "golden.npz"];
const [from, to] = ["../../oneshot_runtime/models/edge/", "../models/edge/"].map((folder) => new URL(folder, import.meta.url));

mkdirSync(to, { recursive: true });
for (const name of FILES) cpSync(new URL(name, from), new URL(name, to));
cpSync(new URL("../../LICENSE", import.meta.url), new URL("../LICENSE", import.meta.url));
