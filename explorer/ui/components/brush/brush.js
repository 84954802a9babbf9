// Painting a region to fill in, or a digit: brush, eraser, rectangle, undo, clear.

import { packBits, unpackBits } from "../shared/bytes.js";
import { clamp, follow, h, themed } from "../shared/dom.js";
import { mount } from "../shared/mount.js";
import { bitmap, place } from "../shared/paint.js";
import { Mask } from "./mask.js";

const SHARP = 640; // pixels of the canvas's longer side, at least
const HELP = "Arrow keys move the brush, space paints, Ctrl+Z undoes.";

class Brush {
  constructor(element) {
    this.canvas = h("canvas", { tabindex: 0, role: "application", "data-testid": "brush-canvas" });
    this.frame = h("div", { class: "frame" }, this.canvas);
    const tool = (name, title) =>
      h("button", { type: "button", "aria-pressed": "false", title, onclick: () => this.choose(name) }, name);
    this.tools = {
      Brush: tool("Brush", "Paint (B)"),
      Eraser: tool("Eraser", "Take paint away (E)"),
      Rectangle: tool("Rectangle", "Drag from corner to corner (R)"),
    };
    this.size = h("input", { type: "range", min: 1, step: 1, "aria-label": "Size of the brush, in pixels of the picture" });
    const undo = h("button", { type: "button", title: "Ctrl+Z", onclick: () => this.undo() }, "Undo");
    const clear = h("button", { type: "button", title: "Delete", onclick: () => this.clear() }, "Clear");
    this.told = h("output", { class: "faint", "aria-live": "polite" });
    const bar = h("div", { class: "tools", role: "toolbar", "aria-label": "Painting tools" });
    bar.append(...Object.values(this.tools), h("label", { class: "size" }, "Size", this.size), undo, clear);
    element.append(h("div", { class: "brush" }, this.frame, bar, this.told));

    this.size.addEventListener("input", () => this.paint());
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => this.hover(null));
    follow(this.canvas, {
      start: (event) => this.begin(event),
      move: (event) => this.go(event),
      end: (event) => this.end(event),
    });
  }

  update({ header, body }) {
    const { height, width, purpose } = header;
    const before = this.header;
    this.header = header;
    this.picture = header.channels ? bitmap(header, body) : null;
    if (before?.id !== header.id) {
      this.mask = new Mask(height, width);
      if (header.begun) this.mask.flags = unpackBits(header.begun, height * width);
      this.cursor = [width / 2, height / 2];
      const scale = Math.ceil(SHARP / Math.max(height, width));
      this.canvas.width = width * scale;
      this.canvas.height = height * scale;
      this.canvas.style.aspectRatio = `${width} / ${height}`;
      this.size.max = Math.max(2, Math.round(Math.max(height, width) / 3));
      this.size.value = Math.max(2, Math.round(Math.max(height, width) / (purpose === "ink" ? 11 : 8)));
      this.choose("Brush");
    }
    this.tools.Rectangle.hidden = purpose === "ink";
    const what = purpose === "ink" ? "Draw here." : "Paint over the part to be filled in.";
    this.canvas.setAttribute("aria-label", `${what} ${HELP}`);
    this.tell();
  }

  restyle() {
    this.accent = themed(this.canvas, "--accent");
    this.paint();
  }

  choose(name) {
    this.tool = name;
    for (const [other, button] of Object.entries(this.tools)) button.setAttribute("aria-pressed", other === name);
  }

  // -- a stroke

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.header;
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  }

  begin(event) {
    this.mask.remember();
    this.from = this.last = this.cursor = this.at(event);
    if (this.tool !== "Rectangle") this.mask.stroke(this.last, this.last, this.size.value, this.flag);
    this.paint();
  }

  go(event) {
    // a fast hand leaves several positions behind in one event
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) {
      this.cursor = this.at(each);
      if (this.tool !== "Rectangle") this.mask.stroke(this.last, this.cursor, this.size.value, this.flag);
      this.last = this.cursor;
    }
    this.paint();
  }

  end(event) {
    if (event.type === "pointercancel") this.mask.undo();
    else if (this.tool === "Rectangle") this.mask.rectangle(this.from, this.last, 1);
    this.from = null;
    this.commit();
  }

  get flag() {
    return this.tool === "Eraser" ? 0 : 1;
  }

  hover(event) {
    if (event && !this.from) this.cursor = this.at(event);
    this.over = event !== null;
    if (!this.from && this.header) this.paint();
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const tool = { b: "Brush", e: "Eraser", r: "Rectangle" }[event.key];
    if (step) {
      const far = event.shiftKey ? 5 : 1;
      this.over = true;
      this.cursor = [
        clamp(this.cursor[0] + far * step[0], 0, this.header.width),
        clamp(this.cursor[1] + far * step[1], 0, this.header.height),
      ];
      this.paint();
    } else if (event.key === " ") {
      this.mask.remember();
      this.mask.stroke(this.cursor, this.cursor, this.size.value, this.flag);
      this.commit();
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.undo();
    else if (event.key === "Delete" || event.key === "Backspace") this.clear();
    else if (tool && !this.tools[tool].hidden && !event.ctrlKey && !event.metaKey) this.choose(tool);
    else return;
    event.preventDefault();
  }

  undo() {
    this.mask.undo();
    this.commit();
  }

  clear() {
    this.mask.clear();
    this.commit();
  }

  // -- what is seen and what is sent

  paint() {
    const context = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    const ink = this.header.purpose === "ink";
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    if (this.picture) place(context, this.picture, 0, 0, width, height, this.header.pixelated);
    context.globalAlpha = ink ? 1 : 0.72;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.overlay(ink ? "#fff" : this.accent), 0, 0, width, height);
    context.globalAlpha = 1;
    this.outline(context, width / this.header.width);
  }

  overlay(colour) {
    const { width, height, flags } = this.mask;
    const cover = (this.cover ??= document.createElement("canvas"));
    cover.width = width;
    cover.height = height;
    const context = cover.getContext("2d");
    context.fillStyle = colour;
    flags.forEach((flag, k) => flag && context.fillRect(k % width, Math.floor(k / width), 1, 1));
    return cover;
  }

  /** Where the brush is, or the rectangle that a drag spans: dark and light, seen on anything. */
  outline(context, scale) {
    context.beginPath();
    if (this.from && this.tool === "Rectangle") {
      const [[x, y], [u, v]] = [this.from, this.last];
      context.rect(x * scale, y * scale, (u - x) * scale, (v - y) * scale);
    } else if (this.over && this.tool !== "Rectangle") {
      context.arc(this.cursor[0] * scale, this.cursor[1] * scale, Math.max(1, (this.size.value / 2) * scale), 0, 7);
    }
    context.lineWidth = 4;
    context.strokeStyle = "#000";
    context.stroke();
    context.lineWidth = 2;
    context.strokeStyle = "#fff";
    context.stroke();
  }

  tell() {
    const share = (100 * this.mask.count) / this.mask.flags.length;
    const painted = share && share < 1 ? "less than 1" : Math.round(share);
    this.told.textContent = this.header.purpose === "ink" ? "" : `${painted} % of the picture is painted over.`;
  }

  commit() {
    this.paint();
    this.tell();
    this.send("painted", { id: this.header.id, bits: packBits(this.mask.flags) });
  }
}

const css = (path) => new URL(path, import.meta.url).href;
export default mount(Brush, css("../shared/part.css"), css("./brush.css"));
