// The browser's camera: opening one, choosing another, and why there is none.

const CHOSEN = "oneshot-camera";

// Why this page can have no camera whatever is plugged in, in a few sentences; empty where it can.
export function cameraProblem() {
  if (navigator.mediaDevices?.getUserMedia) return [];
  if (window.isSecureContext) return ["This browser cannot use a camera. Chrome, Edge, Firefox and Safari do."];
  const port = location.port || "80";
  return [
    `This page came over plain HTTP from ${location.host}. Browsers give the camera only to HTTPS pages, and to pages of their own machine.`,
    `From another computer: ssh -L ${port}:localhost:${port} ${location.hostname}, then open http://localhost:${port}/ there.`,
    `For phones: put HTTPS before the server, for example caddy reverse-proxy --from NAME --to 127.0.0.1:${port}. docs/server.md has both, step by step.`,
  ];
}

export async function openCamera(id = localStorage.getItem(CHOSEN)) {
  const size = { width: { ideal: 1280 }, height: { ideal: 720 } };
  const which = id ? { deviceId: { ideal: id } } : { facingMode: "environment" };
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { ...size, ...which } });
    if (id) localStorage.setItem(CHOSEN, id);
    return stream;
  } catch (error) {
    throw new Error(REASONS[error.name] ?? `The camera cannot be used: ${error.message}`);
  }
}

const REASONS = {
  NotAllowedError: "The browser does not let this page use the camera. Allow it at the camera symbol in the address bar, then press Live again.",
  NotFoundError: "No camera was found. Plug one in, then press Live again.",
  NotReadableError: "The camera is in use by another program, or does not answer. Close that program, then press Live again.",
  AbortError: "The camera stopped while it was being opened. Press Live again.",
};

// Fills a <select> with the cameras there are, hidden where there is no choice. Their names are known once one is open.
export async function listCameras(select, stream) {
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
  select.replaceChildren(...devices.map(({ deviceId, label }, place) => new Option(label || `Camera ${place + 1}`, deviceId)));
  select.value = stream.getVideoTracks()[0]?.getSettings().deviceId ?? "";
  return devices.length > 1;
}
