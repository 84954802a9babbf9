// One direction of change as a filmstrip that is its own slider: its tiles show where it leads.

import { clamp, follow, h } from "../shared/dom.js";
import { bitmap, place } from "../shared/paint.js";

export const TILES = 7; // odd: one of them is the present picture's neighbourhood, zero
const TILE = 96; // pixels of a tile on its canvas

export class Dial {
  /** onmove(event_at, source) while the value changes; onrest() once a hand lets go, onkey() after keys. */
  constructor({ label, low, high }, { onmove, onrest, onkey }) {
    Object.assign(this, { label, low, high, onmove, onrest, onkey, value: 0 });
    this.readout = h("output", { class: "faint" });
    this.film = h("canvas", { width: TILES * TILE, height: TILE, "aria-hidden": "true" });
    this.handle = h("span", { class: "handle" });
    this.band = h(
      "div",
      { class: "band", role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": low, "aria-valuemax": high },
      this.film,
      h("span", { class: "zero", style: `left: ${100 * this.share(clamp(0, low, high))}%` }),
      this.handle,
    );
    const name = h("span", { class: "name" }, label);
    this.element = h("div", { class: "dial" }, name, this.readout, this.band);

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
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (event.key === "Home") this.set(0);
    else if (step) this.set(Math.round(10 * (this.value + step * (event.shiftKey ? 1 : 0.1))) / 10);
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
