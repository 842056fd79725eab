// What a program in TypeScript does with the package; it is only compiled.

import { ArchiveError, ImageError, OneShotError, load, type Match, type OneShotMatcher } from "oneshot-runtime";
import { canvasOf, pictureOf, symbolsOfPage, waysToRead, type PreprocessSpec } from "oneshot-runtime/vision";

export async function asked(file: File, page: ImageData): Promise<string | null> {
  const matcher: OneShotMatcher = await load({ bundle: "/models/edge/", gallery: "letters", precision: "auto", far: 0.01 });
  const [taken] = await matcher.enroll("alef", [file, page], { metadata: { by: "Ada" } });
  const [x, y, width, height]: readonly number[] = taken.box;
  const match: Match = await matcher.match(file);
  for (const { box, crop, match: one } of await matcher.read(page, 3)) {
    if (one.label === null && box[2] > 20) await matcher.enroll("new", crop);
  }
  matcher.far = null;
  const archive: Uint8Array = matcher.exportGallery();
  const added: number = await matcher.importGallery(archive).catch((error: unknown) => (error instanceof ArchiveError ? 0 : x + y + width + height));
  await matcher.remove("alef", added);
  // @ts-expect-error: a precision that there is none of
  await load({ precision: "fp16" });
  return match.label ?? match.probably ?? match.candidates[0]?.label ?? null;
}

export function canvases(pixels: ImageData, spec: PreprocessSpec): Uint8Array[] {
  try {
    const picture = pictureOf(pixels);
    return [...waysToRead(picture, spec), ...symbolsOfPage(picture).flat()].map((one) => canvasOf(one, spec));
  } catch (error) {
    if (error instanceof ImageError && error instanceof OneShotError) return [];
    throw error;
  }
}
