// The errors that are raised on purpose; all else is a defect.

export class OneShotError extends Error {
  get name() {
    return this.constructor.name;
  }
}

// The bundle is damaged, incomplete, or of another version.
export class BundleError extends OneShotError {}

// An image that cannot be read, or shows no ink.
export class ImageError extends OneShotError {}

// A name that can be no label, or that nobody taught.
export class LabelError extends OneShotError {}

// A gallery that cannot be read or written.
export class GalleryError extends OneShotError {}

// An archive that is damaged, of another form or of another model.
export class ArchiveError extends GalleryError {}

// An option that cannot be.
export class OptionError extends OneShotError {}

// A package that is needed and is not installed.
export class DependencyError extends OneShotError {}
