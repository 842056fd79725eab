// What can be kept with a picture, as oneshot_runtime/stores/records.py.

import { GalleryError } from "./errors.js";

export const MAX_METADATA_BYTES = 1 << 16;

// The metadata, if it is null or an object that JSON can hold; else throws GalleryError.
export function checkMetadata(metadata) {
  if (metadata === null) return null;
  if (typeof metadata !== "object" || Array.isArray(metadata)) {
    throw new GalleryError(`metadata is an object that JSON can hold, got ${Array.isArray(metadata) ? "an array" : typeof metadata}`);
  }
  const size = new TextEncoder().encode(written(metadata)).length;
  if (size > MAX_METADATA_BYTES) {
    throw new GalleryError(`metadata takes ${size} bytes as JSON, more than the ${MAX_METADATA_BYTES} that a picture may have`);
  }
  return metadata;
}

function written(metadata) {
  try {
    return JSON.stringify(metadata);
  } catch (error) {
    throw new GalleryError(`metadata cannot be written as JSON: ${error.message}`);
  }
}
