// The map: every known picture as a dot. What is under the pointer is seen on the stage, also where
// there is no dot; a click takes it, a lasso makes a group.

import { packBits } from "../shared/bytes.js";
import { h, themed } from "../shared/dom.js";
import { navigate, zoomButtons } from "../shared/navigate.js";
import { classes, ramp } from "./colours.js";
import { dots } from "./dots.js";
import { bounds, Grid, inside } from "./grid.js";

const REACH = 10; // pixels within which a dot is meant
const STOPS = ["#2c4a7c", "#2a8a8c", "#8fbf6a", "#f2d45c"]; // dark to bright, told apart by everybody

export class PointMap {
  constructor(stage) {
    this.stage = stage;
    this.movable = false;
    this.buttons = [];
    this.canvas = h("canvas", { class: "dots" });
    this.glass = h("canvas", {
      class: "glass",
      tabindex: 0,
      role: "application",
      "aria-label": "Map of pictures. Arrow keys move it, plus and minus zoom, Enter takes what is in the middle.",
      "data-testid": "points-canvas",
    });
    this.field = h("div", { class: "field" }, this.canvas, this.glass);
    this.legend = h("div", { class: "legend" });
    this.told = h("output", { class: "faint", "aria-live": "polite" });
    const moves = {
      pan: (dx, dy) => this.pan(dx, dy),
      zoom: (factor, x, y) => this.zoom(factor, x, y),
      tap: (x, y) => this.choose(x, y),
      hover: (x, y, event) => this.look(x, y, event.timeStamp),
      leave: () => this.look(null),
      claim: (x, y, event) => this.lasso(x, y, event),
      step: (dx, dy, far, event) => this.walk(dx, dy, far, event),
      home: () => this.whole(),
      enter: () => this.choose(...this.middle),
      whole: () => this.whole(),
    };
    navigate(this.glass, moves);
    const toggle = () => this.lassoing(!this.lassoes);
    this.lassoButton = h("button", { type: "button", "aria-pressed": "false", onclick: toggle }, "Lasso");
    this.clearButton = h("button", { type: "button", onclick: () => this.select(null) }, "Clear");
    const buttons = [this.lassoButton, this.clearButton, ...zoomButtons(this.glass, moves)];
    const bar = h("div", { class: "bar" }, ...buttons, this.told);
    this.element = h("div", { class: "points" }, this.field, this.legend, bar);

    this.dots = dots(this.canvas);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.field);
  }

  get middle() {
    return [this.glass.clientWidth / 2, this.glass.clientHeight / 2];
  }

  update(header, take, origin, fresh) {
    const same = this.header?.id === header.id;
    this.header = header;
    this.xy = take(Float32Array, 2 * header.n);
    this.colour = take(header.names ? Int32Array : Float32Array, header.n);
    this.grid = new Grid(this.xy);
    if (!same) {
      this.picked = null;
      this.selection = null;
      this.view = null;
    }
    this.resize();
    this.tell();
    return fresh ? origin : this.stage.z;
  }

  restyle() {
    const palette = themed(this.field, "--st-chart-categorical-colors").split(",");
    const known = this.colour.filter((value) => !Number.isNaN(value));
    const [low, high] = [known.reduce((a, b) => Math.min(a, b), Infinity), known.reduce((a, b) => Math.max(a, b), -Infinity)];
    this.paint = this.header.names ? classes(palette) : ramp(STOPS, low, high);
    this.accent = themed(this.field, "--accent");
    this.explain(low, high);
    this.load();
  }

  /** The legend: a dot and a name for each class, or the ends of the scale. */
  explain(low, high) {
    const { names, title } = this.header;
    const rgb = (value) => `rgb(${this.paint(value).join(" ")})`;
    if (names) {
      const entry = (name, k) => h("span", { class: "entry" }, h("i", { style: `background: ${rgb(k)}` }), name);
      this.legend.replaceChildren(...names.map(entry));
    } else {
      const scale = h("i", { class: "scale", style: `background: linear-gradient(to right, ${STOPS.join(", ")})` });
      const texts = [title, low.toPrecision(3), high.toPrecision(3)].map((text) => h("span", {}, text));
      this.legend.replaceChildren(texts[0], texts[1], scale, texts[2]);
    }
  }

  load() {
    const colours = new Uint8Array(4 * this.header.n);
    for (let k = 0; k < this.header.n; k++) {
      const faint = this.selection && !this.selection[k];
      const known = this.colour[k] >= 0 || !this.header.names;
      const rgb = known && !Number.isNaN(this.colour[k]) ? this.paint(this.colour[k]) : [128, 128, 128];
      colours.set([...rgb, faint ? 50 : 215], 4 * k);
    }
    this.dots.load(this.xy, colours);
    this.draw();
  }

  // -- the view: { x, y } in the middle, `unit` pixels for one unit of the map

  whole() {
    const [low, high] = bounds(this.xy);
    const room = [this.field.clientWidth, this.field.clientHeight];
    const unit = Math.min(...[0, 1].map((k) => room[k] / (high[k] - low[k] || 1)));
    this.view = { x: (low[0] + high[0]) / 2, y: (low[1] + high[1]) / 2, unit: 0.92 * unit };
    this.least = 0.5 * this.view.unit;
    this.draw();
  }

  resize() {
    if (!this.header || !this.field.clientWidth) return;
    for (const canvas of [this.canvas, this.glass]) {
      canvas.width = this.field.clientWidth * devicePixelRatio;
      canvas.height = this.field.clientHeight * devicePixelRatio;
    }
    if (!this.view) this.whole();
    else this.draw();
  }

  toMap(px, py) {
    const [mx, my] = this.middle;
    return [this.view.x + (px - mx) / this.view.unit, this.view.y - (py - my) / this.view.unit];
  }

  toScreen(x, y) {
    const [mx, my] = this.middle;
    return [mx + (x - this.view.x) * this.view.unit, my - (y - this.view.y) * this.view.unit];
  }

  pan(dx, dy) {
    this.view.x -= dx / this.view.unit;
    this.view.y += dy / this.view.unit;
    this.look(null);
    this.draw();
  }

  zoom(factor, px, py) {
    const before = this.toMap(px, py);
    this.view.unit = Math.min(1e4 * this.least, Math.max(this.least, this.view.unit * factor));
    const after = this.toMap(px, py);
    this.view.x += before[0] - after[0];
    this.view.y += before[1] - after[1];
    this.draw();
  }

  walk(dx, dy, far, event) {
    const pixels = far ? 120 : 24;
    this.pan(-dx * pixels, -dy * pixels);
    this.look(...this.middle, event.timeStamp);
  }

  draw() {
    cancelAnimationFrame(this.frameWanted);
    this.frameWanted = requestAnimationFrame(() => {
      if (!this.view || !this.paint) return;
      const unit = this.view.unit * devicePixelRatio;
      // dots grow a little as one comes closer
      const size = Math.min(14, 4.5 * (this.view.unit / this.least / 2) ** 0.3) * devicePixelRatio;
      this.dots.draw({ ...this.view, unit }, size);
      this.overlay();
    });
  }

  /** Rings round what is meant and what is picked, and the lasso. */
  overlay() {
    const context = this.glass.getContext("2d");
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, this.glass.width, this.glass.height);
    context.lineWidth = 2;
    context.strokeStyle = this.accent;
    const under = this.under >= 0 ? this.place(this.under) : null;
    for (const at of [this.picked, under].filter(Boolean)) {
      context.beginPath();
      context.arc(...this.toScreen(...at), 8, 0, 7);
      context.stroke();
    }
    if (!this.loop) return;
    context.beginPath();
    this.loop.forEach((at) => context.lineTo(...at));
    context.closePath();
    context.stroke();
    context.globalAlpha = 0.12;
    context.fillStyle = this.accent;
    context.fill();
    context.globalAlpha = 1;
  }

  place(k) {
    return [this.xy[2 * k], this.xy[2 * k + 1]];
  }

  // -- looking

  /** What is at a place on the screen: a dot, or the ground. */
  where(px, py) {
    const xy = this.toMap(px, py);
    const dot = this.grid.nearest(...xy, REACH / this.view.unit);
    return dot >= 0 ? { dot, index: dot } : { dot, near: { map: this.header.map, xy } };
  }

  /** Shows what is at a place; null brings back what was on the stage. */
  look(px, py, at) {
    if (px === null || this.loop) {
      this.under = -1;
      this.stage.note("");
      this.stage.peek(null, performance.now());
    } else {
      const { dot, ...where } = this.where(px, py);
      this.under = dot;
      this.stage.note(dot >= 0 ? this.describe(dot) : "Decoded here");
      this.stage.peek(where, at);
    }
    this.overlay();
  }

  describe(k) {
    const { names, title } = this.header;
    if (names) return names[this.colour[k]] ?? "";
    return Number.isNaN(this.colour[k]) ? `${title} not known` : `${title} ${this.colour[k].toPrecision(3)}`;
  }

  // -- choosing

  choose(px, py) {
    const { dot, ...where } = this.where(px, py);
    this.picked = dot >= 0 ? this.place(dot) : where.near.xy;
    this.stage.take(where);
    this.draw();
  }

  lassoing(on) {
    this.lassoes = on;
    this.lassoButton.setAttribute("aria-pressed", on);
  }

  /** A drag belongs to the lasso while it is chosen, or with the shift key. */
  lasso(x, y, event) {
    if (!this.lassoes && !event.shiftKey) return null;
    this.loop = [[x, y]];
    this.look(null);
    return {
      move: (px, py) => {
        this.loop.push([px, py]);
        this.draw();
      },
      end: (given_up) => {
        const polygon = this.loop.map((at) => this.toMap(...at));
        this.loop = null;
        if (given_up) return this.draw();
        const found = inside(this.xy, polygon);
        this.select(found.includes(1) ? found : null);
        this.lassoing(false);
      },
    };
  }

  select(flags) {
    this.selection = flags;
    this.load();
    this.tell();
    this.stage.send("lasso", { id: this.header.id, bits: flags && packBits(flags) });
  }

  tell() {
    const { n } = this.header;
    const count = this.selection?.reduce((sum, flag) => sum + flag, 0);
    const all = `All ${n} pictures that the model's atlas holds.`;
    this.told.textContent = count ? `${count} of ${n} in the lasso.` : all;
    this.clearButton.disabled = !count;
  }

  // -- as a surface of the stage

  anchor() {}
  neighbours() {}
  connected() {}

  values() {
    return [];
  }

  words() {
    return [];
  }

  close() {
    cancelAnimationFrame(this.frameWanted);
    this.observer.disconnect();
    this.dots.close();
  }
}
