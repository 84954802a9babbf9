// The manifold as a sheet of pictures, each cell of equal probability (Kingma & Welling, figure 4).
//
// The view is a square of shares (p, q) in (0, 1): what stands at p is decoded at the normal's
// quantile of p. A coarse grid comes at once, a fine one follows, and both start again when the
// view has moved; until then the old picture is moved along.

import { reader } from "../shared/bytes.js";
import { clamp, h, later, themed } from "../shared/dom.js";
import { mount } from "../shared/mount.js";
import { navigate, zoomButtons } from "../shared/navigate.js";
import { bitmap, place } from "../shared/paint.js";
import { Decoder } from "../shared/socket.js";
import { quantile } from "./normal.js";

const COARSE = 8;
const FINE = 20;
const ROWS = 5; // of the fine grid in one request: first rows soon, and a drag waits for few
const SIDE = 1120; // pixels of the canvas
const RIM = 0.0005; // shares beyond it would be decoded from nowhere
const REST = 160; // ms

class Sheet {
  constructor(element) {
    this.canvas = h("canvas", {
      width: SIDE,
      height: SIDE,
      tabindex: 0,
      role: "application",
      "aria-label": "Sheet of pictures. Arrow keys choose a cell, Enter takes it, plus and minus zoom.",
      "data-testid": "sheet-canvas",
    });
    this.outline = h("span", { class: "outline", hidden: true });
    this.frame = h("div", { class: "frame" }, this.canvas, this.outline);
    this.across = h("span", { class: "faint" });
    this.up = h("span", { class: "faint up" });
    this.word = h("output", { class: "faint", "aria-live": "polite" });
    this.board = new OffscreenCanvas(SIDE, SIDE); // what was drawn last, for `view`
    const moves = {
      pan: (dx, dy) => this.pan(dx, dy),
      zoom: (factor, x, y) => this.zoom(factor, x, y),
      tap: (x, y) => this.choose(this.cellAt(x, y)),
      hover: (x, y) => this.point(this.cellAt(x, y)),
      leave: () => this.point(null),
      step: (dx, dy) => this.walk(dx, dy),
      enter: () => this.cell && this.choose(this.cell),
      whole: () => this.whole(),
    };
    navigate(this.canvas, moves);
    const bar = h("div", { class: "bar" }, ...zoomButtons(this.canvas, moves), this.word);
    element.append(h("div", { class: "sheet" }, this.up, this.frame, this.across, bar));
    this.decoder = new Decoder(() => {}, (state) => state === "open" && this.header && this.refine());
    this.refineSoon = later(() => this.refine(), REST);
  }

  update({ header, body }) {
    const take = reader(body);
    this.origin = take(Float32Array, header.size);
    this.u = take(Float32Array, header.size);
    this.v = take(Float32Array, header.size);
    const same = this.header?.model === header.model && this.header?.span === header.span;
    this.header = header;
    this.across.textContent = `${header.u_label} \u2192`;
    this.up.textContent = `${header.v_label} \u2192`;
    if (!same) this.view = this.start();
    this.refine();
  }

  start() {
    const margin = (1 - this.header.span) / 2;
    return { left: margin, top: margin, side: 1 - 2 * margin };
  }

  whole() {
    this.view = this.start();
    this.moved();
  }

  // -- moving the view

  pan(dx, dy) {
    const shares = this.view.side / this.canvas.clientWidth;
    this.view.left -= dx * shares;
    this.view.top -= dy * shares;
    this.moved();
  }

  zoom(factor, x, y) {
    const { left, top, side } = this.view;
    const [fx, fy] = [x / this.canvas.clientWidth, y / this.canvas.clientHeight];
    const to = clamp(side / factor, 0.002, 1 - 2 * RIM);
    this.view = { left: left + fx * (side - to), top: top + fy * (side - to), side: to };
    this.moved();
  }

  moved() {
    const last = 1 - RIM - this.view.side;
    this.view.left = clamp(this.view.left, RIM, last);
    this.view.top = clamp(this.view.top, RIM, last);
    this.point(null);
    this.round = null; // answers still to come belong to a view that has gone
    this.decoder.clearBatches();
    this.carry();
    this.refineSoon();
  }

  /** The last board, where it now lies. */
  carry() {
    const context = this.canvas.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, SIDE, SIDE);
    if (!this.drawn) return;
    const scale = this.drawn.side / this.view.side;
    const x = ((this.drawn.left - this.view.left) / this.view.side) * SIDE;
    const y = ((this.drawn.top - this.view.top) / this.view.side) * SIDE;
    context.drawImage(this.board, x, y, SIDE * scale, SIDE * scale);
  }

  // -- drawing it

  /** Normal coordinates at the middle of a cell of a grid; y grows upwards. */
  coordinates(row, column, grid) {
    const middle = (k) => ((k + 0.5) / grid) * this.view.side;
    return [quantile(this.view.left + middle(column)), -quantile(this.view.top + middle(row))];
  }

  async refine() {
    const round = (this.round = {});
    this.decoder.clearBatches();
    this.carry();
    this.drawn = { ...this.view };
    this.board.getContext("2d").drawImage(this.canvas, 0, 0);
    for (const [grid, rows] of [[COARSE, COARSE], [FINE, ROWS]]) {
      for (let row = 0; row < grid; row += rows) {
        const answer = await this.decoder.batch(this.question(row, rows, grid));
        if (this.round !== round || !answer) return;
        this.draw(answer, row, grid);
      }
    }
    this.canvas.dispatchEvent(new CustomEvent("sheet:complete", { bubbles: true, composed: true }));
  }

  question(first, rows, grid) {
    const z = [];
    for (let row = first; row < first + rows; row++) {
      for (let column = 0; column < grid; column++) {
        const [x, y] = this.coordinates(row, column, grid);
        z.push(Array.from(this.origin, (o, d) => Math.round(1e4 * (o + x * this.u[d] + y * this.v[d])) / 1e4));
      }
    }
    return { model: this.header.model, z };
  }

  draw({ header, pixels }, first, grid) {
    const cell = SIDE / grid;
    const context = this.board.getContext("2d");
    for (let k = 0; k < header.n; k++) {
      const [x, y] = [(k % grid) * cell, (first + Math.floor(k / grid)) * cell];
      place(context, bitmap(header, pixels, k), x, y, cell, cell, false);
    }
    this.carry();
  }

  // -- a cell

  cellAt(x, y) {
    const at = (value, size) => clamp(Math.floor((value / size) * FINE), 0, FINE - 1);
    return { row: at(y, this.canvas.clientHeight), column: at(x, this.canvas.clientWidth) };
  }

  walk(dx, dy) {
    const { row, column } = this.cell ?? { row: FINE / 2, column: FINE / 2 };
    this.point({ row: clamp(row + dy, 0, FINE - 1), column: clamp(column + dx, 0, FINE - 1) });
  }

  point(cell) {
    this.cell = cell;
    this.outline.hidden = cell === null;
    if (!cell) {
      this.word.textContent = "";
      return;
    }
    const [x, y] = this.coordinates(cell.row, cell.column, FINE);
    this.outline.style.left = `${(100 * cell.column) / FINE}%`;
    this.outline.style.top = `${(100 * cell.row) / FINE}%`;
    const sign = (value) => value.toFixed(2).replace("-", "\u2212");
    this.word.textContent = `${this.header.u_label} ${sign(x)}, ${this.header.v_label} ${sign(y)}`;
  }

  choose(cell) {
    this.point(cell);
    const [x, y] = this.coordinates(cell.row, cell.column, FINE);
    this.send("chosen", { model: this.header.model, place: [x, y] });
  }

  restyle() {
    this.outline.style.setProperty("--cell", `${100 / FINE}%`);
    this.outline.style.borderColor = themed(this.canvas, "--accent");
  }

  close() {
    this.round = null;
    this.refineSoon.cancel();
    this.decoder.close();
  }
}

const css = (path) => new URL(path, import.meta.url).href;
export default mount(Sheet, css("../shared/part.css"), css("./sheet.css"));
