// The entry for Node: onnxruntime-node, pictures decoded by sharp where it is installed, galleries in .npz files.

import { webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inflateRawSync } from "node:zlib";

import { BundleError, ImageError } from "./errors.js";
import { FileStore } from "./file-store.js";
import { imported, openMatcher } from "./opening.js";
import { inflateWith } from "./zip.js";

export * from "./opening.js";

inflateWith((content, size) => inflateRawSync(content, { maxOutputLength: Math.max(1, size) })); // Node 18 has no stream for it

const MODEL = new URL("../models/edge/", import.meta.url);
const MAX_PIXELS = 64_000_000;

export async function load({ bundle = MODEL, runtime = null, threads = 1, ...options } = {}) {
  const ort = runtime ?? await imported("onnxruntime-node", () => import("onnxruntime-node"));
  const folder = bundle instanceof URL ? bundle : pathToFileURL(`${bundle}/`);
  const platform = {
    read: (name) => fileOf(new URL(name, folder)),
    decode: pixelsOf,
    storeOf: (path, model) => new FileStore(path instanceof URL ? fileURLToPath(path) : path, model),
    session: { intraOpNumThreads: threads, interOpNumThreads: 1 },
    subtle: webcrypto.subtle,
  };
  return openMatcher(ort, platform, options);
}

async function fileOf(address) {
  try {
    return new Uint8Array(await readFile(address));
  } catch (error) {
    throw new BundleError(`the bundle is incomplete: ${error.message}`);
  }
}

// The pixels { data, width, height } of pixels, or of a picture file: its path, or its bytes.
async function pixelsOf(image) {
  if (image?.data && image.width && image.height) return image;
  const source = image instanceof URL ? fileURLToPath(image) : image;
  if (typeof source !== "string" && !(source instanceof Uint8Array)) {
    throw new ImageError("expected { data, width, height }, the path of a picture file, or its bytes");
  }
  const sharp = await imported("sharp", () => import("sharp"));
  try {
    const opened = sharp(source, { limitInputPixels: MAX_PIXELS }).rotate(); // upright, as EXIF says
    const { channels } = await opened.metadata();
    const decoded = opened.toColourspace(channels === 1 ? "b-w" : "srgb").raw({ depth: "uchar" });
    const { data, info } = await decoded.toBuffer({ resolveWithObject: true });
    return { data, width: info.width, height: info.height };
  } catch (error) {
    throw new ImageError(`${typeof source === "string" ? `image '${source}'` : "the image"} cannot be read: ${error.message}`);
  }
}
