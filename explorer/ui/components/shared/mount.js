// From a class to what Streamlit mounts.
//
// Streamlit calls the default export again, on the same element, whenever data or theme change,
// and its return value once, at the end. An exception in it ends the part for good, so none leaves.

import { unpack } from "./bytes.js";

const sheets = new Map();

/** Loads a stylesheet into a shadow root (or document); resolves when it applies. */
async function style(root, url) {
  if (!sheets.has(url)) {
    const sheet = new CSSStyleSheet();
    sheets.set(url, fetch(url).then((answer) => answer.text()).then((text) => sheet.replace(text)));
  }
  const sheet = await sheets.get(url);
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet);
}

/** What a theme sets; a rerun of the page leaves it as it was. */
function theme(element) {
  const style = getComputedStyle(element);
  return ["--st-primary-color", "--st-text-color", "--st-background-color"].map((name) => style.getPropertyValue(name)).join();
}

/**
 * The default export for a class with
 *   constructor(element)            builds its elements below `element`
 *   update({ header, body })        takes new data; called first of all, never twice with equal data
 *   restyle()                       after new data, and where there are other colours
 *   close()                         lets go of sockets, observers, timers
 * It is given `send(state, value)`, which reaches Python and reruns the page.
 */
export function mount(Part, ...stylesheets) {
  const parts = new WeakMap();

  async function build(parentElement) {
    const root = parentElement.getRootNode();
    await Promise.all(stylesheets.map((url) => style(root, url)));
    parentElement.querySelector("[data-waiting]")?.remove();
    const element = document.createElement("div");
    element.className = "part";
    parentElement.append(element);
    return { part: new Part(element), element, data: null };
  }

  return async ({ data, parentElement, setStateValue }) => {
    try {
      if (!parts.has(parentElement)) parts.set(parentElement, build(parentElement));
      const mounted = await parts.get(parentElement);
      mounted.part.send = setStateValue;
      const colours = theme(mounted.element);
      const fresh = !mounted.data || !same(mounted.data, data);
      if (fresh) {
        mounted.data = data;
        mounted.part.update(unpack(data));
      }
      if (fresh || mounted.colours !== colours) {
        mounted.colours = colours;
        mounted.part.restyle?.();
      }
      return () => {
        if (!parts.delete(parentElement)) return;
        mounted.part.close?.();
      };
    } catch (error) {
      console.error(error);
      return () => {};
    }
  };
}

function same(a, b) {
  return a.byteLength === b.byteLength && a.every((value, k) => value === b[k]);
}
