// From decoded pixels to symbols: what finds them, without a model.

export { ImageError } from "../errors.js";
export { symbolsOfPage } from "./page.js";
export { pictureOf } from "./picture.js";
export { PREPROCESS_VERSION, canvasOf, waysToRead } from "./preprocess.js";
