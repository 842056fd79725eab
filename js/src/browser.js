// The entry for browsers: onnxruntime-web, pictures decoded by the browser, galleries in IndexedDB.

import { BundleError, ImageError } from "./errors.js";
import { IndexedDbStore } from "./indexeddb-store.js";
import { imported, openMatcher } from "./opening.js";

export * from "./opening.js";

const MODEL = new URL("../models/edge/", import.meta.url);

export async function load({ bundle = MODEL, runtime = null, ...options } = {}) {
  const ort = runtime ?? await imported("onnxruntime-web", () => import("onnxruntime-web"));
  const folder = new URL(`${bundle}`.replace(/\/?$/, "/"), globalThis.location?.href);
  const platform = {
    read: (name) => fetched(new URL(name, folder)),
    decode: pixelsOf,
    storeOf: (name, model) => new IndexedDbStore(name, model.fingerprint),
    session: { executionProviders: ["wasm"] },
    subtle: globalThis.crypto?.subtle, // over HTTPS and on localhost only
  };
  return openMatcher(ort, platform, options);
}

async function fetched(address) {
  const response = await fetch(address).catch((error) => ({ ok: false, status: error.message }));
  if (!response.ok) throw new BundleError(`${address.href} is not there (${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}

// The pixels { data, width, height } of an ImageData or alike, a Blob or File, or whatever a canvas can draw.
async function pixelsOf(image) {
  if (image?.data && image.width && image.height) return image;
  const drawable = image instanceof Blob ? await decoded(image) : image;
  const width = drawable?.naturalWidth ?? drawable?.videoWidth ?? drawable?.width;
  const height = drawable?.naturalHeight ?? drawable?.videoHeight ?? drawable?.height;
  if (!width || !height) throw new ImageError("expected ImageData, a Blob or File, or an image, canvas or video that has loaded");
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(drawable, 0, 0);
  return context.getImageData(0, 0, width, height);
}

async function decoded(file) {
  try {
    return await createImageBitmap(file);
  } catch (error) {
    const name = file.name ? `'${file.name}'` : "the file";
    throw new ImageError(`${name} is no picture that this browser can read (${error.message})`);
  }
}
