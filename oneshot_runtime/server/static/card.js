// The card of a known symbol: pictures, name, and buttons.

import { element } from "./widgets.js";

export const SHOWN = 3; // pictures of a symbol, the latest

// pictures: images to show. actions: what each button does, by its caption. fresh: marks what was just taught. open(): shows all
// pictures, where the page can.
export function card({ label, supports }, pictures, actions, fresh, open = null) {
  const buttons = Object.entries(actions).map(([caption, act]) => {
    const button = element("button", { type: "button", className: "quiet", textContent: caption, ariaLabel: `${caption} ${label}` });
    button.addEventListener("click", act);
    return button;
  });
  const made = element("li", { className: fresh ? "class new" : "class" },
    open ? opener(label, pictures, open) : element("div", { className: "pictures" }, ...pictures),
    element("p", { className: "label", textContent: label, title: label }),
    element("p", { className: "number", textContent: supports === 1 ? "1 picture" : `${supports} pictures` }),
    element("div", { className: "row" }, ...buttons));
  made.dataset.label = label;
  return made;
}

function opener(label, pictures, open) {
  const button = element("button", { type: "button", className: "pictures", ariaLabel: `Pictures of ${label}`, title: "All pictures" }, ...pictures);
  button.addEventListener("click", open);
  return button;
}
