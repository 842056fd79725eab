// The server's HTTP API. Every failure becomes an Error in the server's words.

import { pngOf } from "./widgets.js";

const TOKEN = "oneshot-token";

async function call(path, options = {}) {
  const headers = { ...options.headers };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  if (response.status === 401) {
    await askToken();
    return call(path, options);
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Error(problem.detail || `The server answered ${response.status}.`);
  }
  return response;
}

let asking = null;

function askToken() {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("token-dialog");
    const field = document.getElementById("token");
    field.value = "";
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(TOKEN, field.value.trim());
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
    dialog.querySelector("menu button").focus(); // what changes nothing comes first
  });
  return asking;
}

const json = (path, options) => call(path, options).then((response) => response.json());

// In the query: a browser takes "." and ".." out of an address, however they are written.
const address = (label, part = "") => `/v1/classes${part}?label=${encodeURIComponent(label)}`;

function form(pictures) {
  const body = new FormData();
  pictures.forEach((picture, place) => body.append("image", picture, `${place}.png`));
  return body;
}

const at = (far) => (far === null ? "" : `&far=${far}`);

export const match = (picture, far) =>
  json(`/v1/match?top_k=5${at(far)}`, { method: "POST", body: picture }).then((body) => body.matches[0]);
export const health = () => json("/v1/health");
export const explained = async (picture) => (await call("/v1/explain", { method: "POST", body: picture })).blob();
export const read = async (picture, far) => {
  const [answer] = (await json(`/v1/read?crops=true&top_k=3${at(far)}`, { method: "POST", body: picture })).pictures;
  return { ...answer, symbols: answer.symbols.map((symbol) => ({ ...symbol, crop: pngOf(symbol.crop) })) };
};
export const classes = (offset, limit) => json(`/v1/classes?offset=${offset}&limit=${limit}`);
export const teach = (label, pictures) => json(address(label), { method: "POST", body: form(pictures) });
export const remove = (label) => json(address(label), { method: "DELETE" });
export const removeSupport = (label, place) => json(address(label, `/supports/${place}`), { method: "DELETE" });
export const rename = (label, to) =>
  json(address(label), { method: "PATCH", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ label: to }) });
export const support = async (label, place) => (await call(address(label, `/supports/${place}`))).blob();
export const exported = async () => (await call("/v1/gallery/export")).blob();
export const imported = (file) => json("/v1/gallery/import", { method: "POST", body: file });

// A WebSocket to the live camera's route, open. A browser lets a page set no header there, so the token goes as a subprotocol.
export async function liveSocket() {
  const protocols = ["oneshot.live"];
  const token = sessionStorage.getItem(TOKEN);
  if (token) protocols.push(`oneshot.token.${base64url(token)}`);
  const socket = new WebSocket(new URL("/v1/live", location.href.replace(/^http/, "ws")), protocols);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve, { once: true });
    socket.addEventListener("error", () => reject(new Error("The server does not answer. Is it still running?")), { once: true });
  });
  return socket;
}

const base64url = (text) => btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
