/** Grey, RGB or RGBA pixels, one, three or four bytes each, row by row; RGBA is not premultiplied. `ImageData` is one. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/**
 * What is called a picture. Everywhere: pixels. In browsers: a `Blob` or `File`, or what a canvas can draw. In Node, where `sharp` is
 * installed: the path of a picture file, or its bytes.
 */
export type Picture = Pixels | Blob | CanvasImageSource | string | URL | Uint8Array;

/** x, y, width and height in pixels. */
export type Box = readonly [number, number, number, number];

export interface LoadOptions {
  /** Folder of the bundle: an address, or in Node a path. Default: the model in the package. */
  bundle?: string | URL;
  /** Where the gallery is kept: in browsers the name of a database, in Node the path of a .npz. Default: in memory. */
  gallery?: string | URL | null;
  /** Default "auto": int8, a quarter of the bytes, where the golden images come out right; else fp32. */
  precision?: "auto" | "int8" | "fp32";
  /** False accept rate: the share of unknown symbols that may be given a label. null refuses none, as does a bundle without thresholds. Default 0.05. */
  far?: number | null;
  /** The module of ONNX Runtime. Default: onnxruntime-web in browsers, onnxruntime-node in Node. */
  runtime?: unknown;
  /** Node only: threads of one embedding. Default 1. */
  threads?: number;
}

export interface Candidate {
  readonly label: string;
  /** In [0, 1], that the picture shows this symbol. */
  readonly probability: number;
}

/** The answer to one picture, as `Match` in Python. */
export interface Match {
  /** The best symbol; null when the picture is unknown at the matcher's false accept rate. */
  readonly label: string | null;
  /** Of the best candidate, accepted or not; 0 with an empty gallery. */
  readonly probability: number;
  /** Best first, whatever the threshold. */
  readonly candidates: readonly Candidate[];
  /** From which the best candidate is accepted; 0 where none is refused, null with an empty gallery. */
  readonly threshold: number | null;
  /** The best symbol where it is refused, but clearly ahead. */
  readonly probably: string | null;
  /** How many symbols the picture seems to show; `read` names each of several. */
  readonly symbols: number;
  /** In how many ways the picture was tried. */
  readonly readings: number;
}

/** One symbol of a picture. */
export interface ReadSymbol {
  readonly box: Box;
  /** Its ink dark on white, grey. It can be enrolled. */
  readonly crop: Pixels;
  readonly match: Match;
}

/** What was taken of a picture that was enrolled. */
export interface Enrolled {
  readonly crop: Pixels;
  readonly box: Box;
  /** How many symbols the picture seems to show: more than one is odd. */
  readonly symbols: number;
  /** What was left out. */
  readonly dropped: readonly string[];
}

/** An enrolled picture. */
export interface Support {
  readonly label: string;
  readonly code: Uint8Array;
  /** A PNG. */
  readonly thumbnail: Uint8Array | null;
  readonly metadata: Record<string, unknown> | null;
  /** Seconds since 1970. */
  readonly created: number;
}

export interface Gallery {
  readonly labels: string[];
  /** How many supports there are. */
  readonly size: number;
  /** All supports, in the order of their enrollment. */
  readonly all: readonly Support[];
  supports(label: string): Support[];
  /** Read again what another tab may have changed. */
  reload(): Promise<void>;
}

/** Recognises symbols after seeing each of them once. Methods that take pictures reject with `ImageError`. */
export class OneShotMatcher {
  private constructor();
  readonly gallery: Gallery;
  readonly precision: "int8" | "fp32";
  /** The enrolled symbols, in the order of their first enrollment. */
  readonly labels: string[];
  far: number | null;

  /** Add one picture, or several, of a symbol: all, or on an error none. Rejects with `LabelError` for what can be no name. */
  enroll(label: string, images: Picture | Picture[], options?: { metadata?: Record<string, unknown> | null }): Promise<Enrolled[]>;
  /** Which enrolled symbol a picture shows. */
  match(image: Picture, topK?: number): Promise<Match>;
  /** Every symbol of a photograph, scan or screenshot, from line to line. */
  read(image: Picture, topK?: number): Promise<ReadSymbol[]>;
  /** The probability that two pictures show the same symbol. */
  verify(first: Picture, second: Picture): Promise<number>;
  /** The embedding of a picture, components in [0, 1]. */
  embed(image: Picture): Promise<Float32Array>;
  /** Forget a symbol, or one of its pictures by its place, counted from 0. Rejects with `LabelError` for one that is unknown. */
  remove(label: string, place?: number | null): Promise<void>;
  /** The gallery as a .npz, which `oneshot gallery import` reads. */
  exportGallery(): Uint8Array;
  /** Add what `oneshot gallery export` or `exportGallery` wrote, all or nothing; resolves to how many pictures. Rejects with `ArchiveError`. */
  importGallery(archive: Uint8Array): Promise<number>;
  /** Free the model. */
  close(): Promise<void>;
}

/** Load a model and open its gallery. Rejects with `BundleError`, `GalleryError`, `OptionError` or `DependencyError`. */
export function load(options?: LoadOptions): Promise<OneShotMatcher>;

/** What everything is that is thrown on purpose. */
export class OneShotError extends Error {}
export class BundleError extends OneShotError {}
export class ImageError extends OneShotError {}
export class LabelError extends OneShotError {}
export class GalleryError extends OneShotError {}
export class ArchiveError extends GalleryError {}
export class OptionError extends OneShotError {}
export class DependencyError extends OneShotError {}
