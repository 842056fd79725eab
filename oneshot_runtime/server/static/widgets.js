// Small helpers for the document.

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// A PNG file from its base64 text.
export const pngOf = (text) => new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type: "image/png" });

// A picture on a canvas whose longer side is at most `side`.
export function shrunk(picture, side) {
  const scale = Math.min(1, side / Math.max(picture.width, picture.height));
  const sheet = document.createElement("canvas");
  sheet.width = Math.max(1, Math.round(picture.width * scale));
  sheet.height = Math.max(1, Math.round(picture.height * scale));
  sheet.getContext("2d").drawImage(picture, 0, 0, sheet.width, sheet.height);
  return sheet;
}

// Open a dialog; resolves to whether it was confirmed.
export function ask(id, opened = () => {}) {
  const dialog = document.getElementById(id);
  dialog.returnValue = "";
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
    dialog.showModal();
    dialog.querySelector("menu button").focus(); // what changes nothing comes first
    opened();
  });
}

let timer = 0;

export function toast(text, isError = false) {
  const box = document.getElementById("toast");
  box.textContent = text;
  box.className = isError ? "error" : "";
  box.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => { box.hidden = true; }, isError ? 8000 : 3500);
}
