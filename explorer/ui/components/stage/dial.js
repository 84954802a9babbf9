// One direction of change as a filmstrip that is its own slider: its tiles show where it leads.

import { clamp, follow, h } from "../shared/dom.js";
import { bitmap, place } from "../shared/paint.js";
import { Name } from "./name.js";

export const TILES = 7; // odd: one of them is the present picture's neighbourhood, zero
const TILE = 96; // pixels of a tile on its canvas
const STEPS = { ArrowLeft: -0.1, ArrowDown: -0.1, ArrowRight: 0.1, ArrowUp: 0.1, PageDown: -1, PageUp: 1 };

export class Dial {
  /**
   * onmove(event_at, source) while the value changes; onrest() once a hand lets go, onkey() after keys.
   * What a visitor calls the dial is remembered for the `model`.
   */
  constructor({ label, low, high }, model, { onmove, onrest, onkey }) {
    Object.assign(this, { low, high, onmove, onrest, onkey, value: 0 });
    this.name = new Name(label, model, (name) => this.band.setAttribute("aria-label", name));
    this.readout = h("output", { class: "faint" });
    this.film = h("canvas", { width: TILES * TILE, height: TILE, "aria-hidden": "true" });
    this.handle = h("span", { class: "handle" });
    this.band = h(
      "div",
      { class: "band", role: "slider", tabindex: 0, "aria-label": this.label, "aria-valuemin": low, "aria-valuemax": high },
      this.film,
      h("span", { class: "zero", style: `left: ${100 * this.share(clamp(0, low, high))}%` }),
      this.handle,
    );
    this.element = h("div", { class: "dial" }, this.name.element, this.readout, this.band);

    follow(this.band, {
      start: (event) => {
        this.before = this.value;
        this.reach(event);
      },
      move: (event) => this.reach(event),
      end: (event) => this.release(event),
    });
    this.band.addEventListener("dblclick", (event) => this.reset(event.timeStamp));
    this.band.addEventListener("keydown", (event) => this.key(event));
    this.show();
  }

  get label() {
    return this.name.text;
  }

  /** The values that the tiles stand for, each at its tile's middle. */
  get stops() {
    return Array.from({ length: TILES }, (_, k) => this.low + ((k + 0.5) / TILES) * (this.high - this.low));
  }

  share(value) {
    return (value - this.low) / (this.high - this.low);
  }

  set(value) {
    this.value = clamp(value, this.low, this.high);
    this.show();
  }

  show() {
    const text = `${this.value > 0 ? "+" : ""}${this.value.toFixed(1).replace("-", "\u2212")}`;
    this.readout.textContent = text.endsWith("0.0") ? "0" : text;
    this.handle.style.left = `${100 * this.share(this.value)}%`;
    this.band.setAttribute("aria-valuenow", this.value.toFixed(2));
    this.band.setAttribute("aria-valuetext", this.readout.textContent);
  }

  reach(event) {
    const box = this.band.getBoundingClientRect();
    this.set(this.low + ((event.clientX - box.left) / box.width) * (this.high - this.low));
    this.onmove(event.timeStamp, "dial");
  }

  release(event) {
    if (event.type === "pointercancel") {
      // the finger was scrolling the page
      this.set(this.before);
      this.onmove(event.timeStamp, "dial");
    }
    this.onrest();
  }

  reset(at) {
    this.set(0);
    this.onmove(at, "dial");
    this.onrest();
  }

  key(event) {
    const step = STEPS[event.key];
    if (event.key === "Home") this.set(0);
    else if (event.key === "End") this.set(this.high);
    else if (step) this.set(Math.round(10 * (this.value + (event.shiftKey ? Math.sign(step) : step))) / 10);
    else return;
    event.preventDefault();
    this.onmove(event.timeStamp, "key");
    this.onkey();
  }

  /** Shows an answer with one picture for each stop. */
  draw({ header, pixels }, pixelated) {
    const context = this.film.getContext("2d");
    context.clearRect(0, 0, this.film.width, this.film.height);
    for (let k = 0; k < TILES; k++) place(context, bitmap(header, pixels, k), k * TILE, 0, TILE, TILE, pixelated);
  }
}
