// A worker: makes a JPEG of a frame. In the page itself that would hold up drawing, or wait until the browser finds itself idle.

const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d");

self.onmessage = async ({ data: { frame, longest, quality } }) => {
  const scale = Math.min(1, longest / Math.max(frame.width, frame.height));
  canvas.width = Math.max(1, Math.round(frame.width * scale));
  canvas.height = Math.max(1, Math.round(frame.height * scale));
  context.drawImage(frame, 0, 0, canvas.width, canvas.height);
  frame.close();
  const bytes = await (await canvas.convertToBlob({ type: "image/jpeg", quality })).arrayBuffer();
  const picture = canvas.transferToImageBitmap();
  self.postMessage({ bytes, picture }, [bytes, picture]);
};
