import type { Box, Pixels } from "../index.js";

/** A grey image, row by row. */
export interface Grey {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** What a picture is read from. */
export interface DecodedPicture {
  readonly grey: Grey;
  /** Its red, green and blue, for one that has any colours. */
  readonly colours: (() => [Grey, Grey, Grey]) | null;
}

/** One way to read a picture, as a clean drawing. */
export interface Reading {
  readonly drawing: Grey;
  /** 255 where full. */
  readonly ink: Grey;
  readonly box: Box;
  /** Whether nothing was left out. */
  readonly whole: boolean;
  /** Whether a frame is taken as part of the symbol. */
  readonly framed: boolean;
  readonly dropped: readonly string[];
  readonly symbols: number;
}

/** "preprocess" of a bundle's manifest. */
export interface PreprocessSpec {
  readonly height: number;
  readonly width: number;
  readonly fit: "ink" | "frame";
  readonly ink_share: number;
  readonly min_ink: number;
  readonly thin: number;
}

export const PREPROCESS_VERSION: number;
/** Throws `ImageError` for pixels that are none. */
export function pictureOf(pixels: Pixels): DecodedPicture;
/** The ways to read a picture as one symbol, likeliest first. Throws `ImageError` where it shows no ink. */
export function waysToRead(picture: DecodedPicture, spec: PreprocessSpec): Reading[];
/** The symbols of a page, in the order of reading: of each the ways to read it, likeliest first. */
export function symbolsOfPage(picture: DecodedPicture): Reading[][];
/** The model's input, height * width bytes, ink towards 255. */
export function canvasOf(reading: Reading, spec: PreprocessSpec): Uint8Array;
export { ImageError } from "../index.js";
