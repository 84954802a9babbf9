// Moving about on a surface: drag pans, wheel and two fingers zoom, a still press is a tap.

import { h, MOVE } from "./dom.js";

const STILL = 5; // pixels that a tap may wander
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Calls, with positions in pixels of the element:
 *   pan(dx, dy)  zoom(factor, x, y)  tap(x, y)  hover(x, y, event)  leave()
 *   step(dx, dy, far, event)  home(event)  enter()
 * and claim(x, y, event), which may return { move(x, y, event), end(given_up) } to have a drag for
 * itself; it is given up when a second finger comes. The middle button always pans.
 */
export function navigate(element, on) {
  const pointers = new Map(); // id -> [x, y]
  let claimed = null;
  let travelled = 0;

  const at = (event) => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  const pinch = (before, after) => {
    const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const width = ([a, b]) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
    const [from, to] = [middle(before), middle(after)];
    on.pan(to[0] - from[0], to[1] - from[1]);
    on.zoom(width(after) / width(before), ...to);
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    const here = at(event);
    pointers.set(event.pointerId, here);
    try {
      element.setPointerCapture(event.pointerId);
    } catch {
      // a pointer made by a script cannot be captured
    }
    if (pointers.size === 1) {
      travelled = 0;
      claimed = (event.button === 0 && on.claim?.(...here, event)) || null;
    } else if (claimed) {
      claimed.end(true);
      claimed = null;
    }
  });

  element.addEventListener(MOVE, (event) => {
    if (!pointers.has(event.pointerId)) on.hover?.(...at(event), event);
    else claimed?.move(...at(event), event);
  });

  // the view moves once a frame
  element.addEventListener("pointermove", (event) => {
    const here = at(event);
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const before = [...pointers.values()];
    pointers.set(event.pointerId, here);
    travelled += Math.hypot(here[0] - last[0], here[1] - last[1]);
    if (claimed) return;
    if (pointers.size === 2) pinch(before, [...pointers.values()]);
    else if (travelled > STILL) on.pan(here[0] - last[0], here[1] - last[1]);
  });

  const finish = (event) => {
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    if (claimed) claimed.end(event.type === "pointercancel");
    else if (event.type === "pointerup" && travelled <= STILL) on.tap?.(...at(event));
    claimed = null;
  };
  element.addEventListener("pointerup", finish);
  element.addEventListener("pointercancel", finish);
  element.addEventListener("lostpointercapture", finish);
  element.addEventListener("pointerleave", () => pointers.size || on.leave?.());

  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      on.zoom(Math.exp(-0.0016 * lines * event.deltaY), ...at(event));
    },
    { passive: false },
  );

  element.addEventListener("keydown", (event) => {
    const middle = [element.clientWidth / 2, element.clientHeight / 2];
    const step = KEYS[event.key];
    if (step) on.step(...step, event.shiftKey, event);
    else if (event.key === "Home") on.home(event);
    else if (event.key === "+" || event.key === "=") on.zoom(1.3, ...middle);
    else if (event.key === "-") on.zoom(1 / 1.3, ...middle);
    else if (event.key === "Enter" || event.key === " ") on.enter();
    else return;
    event.preventDefault();
  });
}

/** Three buttons for those who have no wheel. */
export function zoomButtons(element, on) {
  const button = (text, label, act) => h("button", { type: "button", "aria-label": label, onclick: act }, text);
  const middle = () => [element.clientWidth / 2, element.clientHeight / 2];
  return [
    button("+", "Zoom in", () => on.zoom(1.6, ...middle())),
    button("\u2212", "Zoom out", () => on.zoom(1 / 1.6, ...middle())),
    button("Whole", "See the whole", () => on.whole()),
  ];
}
