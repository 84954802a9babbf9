// Small things every part needs.

/** An element: h("button", { class: "quiet", onclick: f }, "Reset"). Text stays text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Calls f once things have been quiet for `ms`, unless it is cancelled; `flush` calls it at once. */
export function later(f, ms) {
  let timer = null;
  const run = () => {
    timer = null;
    f();
  };
  const call = () => {
    clearTimeout(timer);
    timer = setTimeout(run, ms);
  };
  call.cancel = () => {
    clearTimeout(timer);
    timer = null;
  };
  call.flush = () => {
    if (timer === null) return;
    clearTimeout(timer);
    run();
  };
  return call;
}

/** One of the theme's colours, as the stylesheet sees it. */
export function themed(element, property) {
  return getComputedStyle(element).getPropertyValue(property).trim();
}

/** Moves of a pointer as they happen; a browser keeps its pointermove for the next frame. */
export const MOVE = "onpointerrawupdate" in window ? "pointerrawupdate" : "pointermove";

/**
 * Follows one pointer from press to release: start(event), move(event), end(event).
 * Where `start` returns false the press is not ours.
 */
export function follow(element, { start, move, end }) {
  let pointer = null;
  element.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0 || start(event) === false) return;
    pointer = event.pointerId;
    try {
      element.setPointerCapture(pointer);
    } catch {
      // a pointer made by a script cannot be captured; it is followed as far as the element goes
    }
  });
  element.addEventListener(MOVE, (event) => {
    if (event.pointerId === pointer) move(event);
  });
  const finish = (event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    end(event);
  };
  element.addEventListener("pointerup", finish);
  element.addEventListener("pointercancel", finish);
  element.addEventListener("lostpointercapture", finish);
}
