// The manifold as a sheet of pictures, each cell of equal probability (Kingma & Welling, figure 4).
//
// The view is a square of shares (p, q) in (0, 1): what stands at p is decoded at the normal's
// quantile of p. A coarse grid comes at once, a fine one follows, and both start again when the
// view has moved; until then the old picture is moved along. A drag moves the picture on the stage,
// also between the cells; two fingers, the wheel, or a drag with Shift move the view.

import { clamp, h, later } from "../shared/dom.js";
import { navigate, zoomButtons } from "../shared/navigate.js";
import { bitmap, place } from "../shared/paint.js";
import { quantile, share } from "./normal.js";

const COARSE = 8;
const FINE = 20;
const ROWS = 5; // of the fine grid in one request: first rows soon, and a drag waits for few
const SIDE = 1120; // pixels of the canvas
const RIM = 0.0005; // shares beyond it would be decoded from nowhere
const FAR = 3.29; // the quantile of the rim
const REST = 160; // ms
const SPAN = 4; // spreads in the width of the picture, when that is dragged

export class Sheet {
  constructor(stage) {
    this.stage = stage;
    this.movable = true;
    this.buttons = [];
    this.canvas = h("canvas", {
      width: SIDE,
      height: SIDE,
      tabindex: 0,
      role: "application",
      "aria-label": "Sheet of pictures. Arrow keys move the picture, plus and minus zoom.",
      "data-testid": "sheet-canvas",
    });
    this.mark = h("span", { class: "mark", hidden: true });
    this.across = h("span", { class: "faint" });
    this.up = h("span", { class: "faint up" });
    this.word = h("output", { class: "faint" });
    const moves = {
      pan: (dx, dy) => this.pan(dx, dy),
      zoom: (factor, x, y) => this.zoom(factor, x, y),
      hover: (x, y, event) => stage.peek({ z: this.at(this.toNormal(x, y)) }, event.timeStamp),
      leave: () => stage.peek(null, performance.now()),
      claim: (x, y, event) => this.grasp(x, y, event),
      step: (dx, dy, far, event) => this.key(this.stepped(dx, dy, far ? 1 : 0.1), event),
      home: (event) => this.key([0, 0], event),
      enter: () => stage.commit(),
      whole: () => this.whole(),
    };
    navigate(this.canvas, moves);
    const bar = h("div", { class: "bar" }, ...zoomButtons(this.canvas, moves), this.word);
    const frame = h("div", { class: "frame" }, this.canvas, this.mark);
    this.element = h("div", { class: "sheet" }, this.up, frame, this.across, bar);
    this.board = new OffscreenCanvas(SIDE, SIDE); // what was drawn last, for `view`
    this.refineSoon = later(() => this.refine(), REST);
  }

  update(header, take, origin, fresh) {
    const [u, v] = [take(Float32Array, header.size), take(Float32Array, header.size)];
    const centre = take(Float32Array, header.size);
    const ways = [[u, this.u], [v, this.v], [centre, this.centre]];
    const same = this.centre && ways.every((pair) => equal(...pair)) && header.model === this.header.model && header.y === this.header.y;
    Object.assign(this, { header, u, v, centre });
    this.across.textContent = `${header.u_label} \u2192`;
    this.up.textContent = `${header.v_label} \u2192`;
    if (!same || !this.view) {
      this.view = this.start();
      this.drawn = null;
      this.cursor = null;
      this.refine();
    }
    return fresh ? origin : this.stage.z;
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
    this.round = null; // answers still to come belong to a view that has gone
    this.carry();
    this.point();
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

  // -- places: pixels of the canvas, coordinates [x, y] of a standard normal, latents

  toNormal(px, py) {
    const { left, top, side } = this.view;
    const [p, q] = [left + (px / this.canvas.clientWidth) * side, top + (py / this.canvas.clientHeight) * side];
    return [quantile(clamp(p, RIM, 1 - RIM)), -quantile(clamp(q, RIM, 1 - RIM))];
  }

  at([x, y]) {
    return Array.from(this.centre, (c, d) => c + x * this.u[d] + y * this.v[d]);
  }

  /** Takes the picture to coordinates; the latent there. */
  goTo(cursor) {
    this.cursor = cursor.map((value) => clamp(value, -FAR, FAR));
    this.point();
    return this.at(this.cursor);
  }

  stepped(dx, dy, size) {
    const [x, y] = this.cursor ?? [0, 0];
    return [x + size * dx, y - size * dy];
  }

  /** Shows where the picture lies. */
  point() {
    this.mark.hidden = !this.cursor;
    this.word.textContent = this.words().join(", ");
    if (!this.cursor) return;
    const { left, top, side } = this.view;
    const [x, y] = [(share(this.cursor[0]) - left) / side, (share(-this.cursor[1]) - top) / side];
    this.mark.hidden = !(x >= 0 && x <= 1 && y >= 0 && y <= 1);
    this.mark.style.left = `${100 * x}%`;
    this.mark.style.top = `${100 * y}%`;
  }

  words() {
    if (!this.cursor) return [];
    const number = (value) => value.toFixed(2).replace("-", "\u2212");
    return [`${this.header.u_label} ${number(this.cursor[0])}`, `${this.header.v_label} ${number(this.cursor[1])}`];
  }

  // -- a hand on the sheet

  grasp(px, py, event) {
    if (event.shiftKey) return null;
    const { stage } = this;
    const before = [stage.z, this.cursor];
    stage.touch();
    stage.move(this.goTo(this.toNormal(px, py)), event.timeStamp, "sheet");
    return {
      move: (x, y, next) => {
        this.follow(x, y);
        stage.move(this.goTo(this.toNormal(x, y)), next.timeStamp, "sheet");
      },
      end: (given_up) => {
        if (!given_up) return stage.commit();
        this.cursor = before[1]; // a second finger: it was the view that was meant
        this.point();
        stage.move(before[0], performance.now(), "sheet");
      },
    };
  }

  /** A hand that leaves a view that is not the whole takes it along. */
  follow(px, py) {
    if (this.view.side > 0.9) return;
    const over = (at, size) => at - clamp(at, 0, size);
    const [x, y] = [over(px, this.canvas.clientWidth), over(py, this.canvas.clientHeight)];
    if (x || y) this.pan(-x / 8, -y / 8);
  }

  key(cursor, event) {
    this.stage.touch();
    this.stage.move(this.goTo(cursor), event.timeStamp, "key");
    this.stage.commitSoon();
  }

  // -- the picture itself is dragged

  shift(dx, dy) {
    const [x, y] = this.cursor ?? [0, 0];
    return this.goTo([x + SPAN * dx, y - SPAN * dy]);
  }

  step(dx, dy, size) {
    return this.goTo(this.stepped(dx, dy, size));
  }

  home() {
    return this.goTo([0, 0]);
  }

  /** A picture from elsewhere is on the stage: it need not lie on this sheet. */
  anchor() {
    this.cursor = null;
    this.point();
  }

  values() {
    return [];
  }

  // -- drawing the sheet

  async refine() {
    const round = (this.round = {});
    this.carry();
    this.drawn = { ...this.view };
    this.board.getContext("2d").drawImage(this.canvas, 0, 0);
    const began = performance.now();
    for (const [what, grid, rows] of [["coarse", COARSE, COARSE], ["complete", FINE, ROWS]]) {
      for (let row = 0; row < grid; row += rows) {
        const answer = await this.stage.decoder.batch(this.question(row, rows, grid), true);
        if (this.round !== round || !answer) return;
        this.draw(answer, row, grid);
      }
      const detail = { ms: performance.now() - began };
      this.canvas.dispatchEvent(new CustomEvent(`sheet:${what}`, { detail, bubbles: true, composed: true }));
    }
  }

  question(first, rows, grid) {
    const cell = this.canvas.clientWidth / grid;
    const z = [];
    for (let row = first; row < first + rows; row++) {
      for (let column = 0; column < grid; column++) {
        const latent = this.at(this.toNormal((column + 0.5) * cell, (row + 0.5) * cell));
        z.push(latent.map((value) => Math.round(1e4 * value) / 1e4));
      }
    }
    const { model, y } = this.header;
    return y === null ? { model, z } : { model, y, z };
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

  neighbours() {}
  restyle() {}

  /** A connection that came back has forgotten what it was asked for. */
  connected() {
    if (this.view && this.round) this.refine();
  }

  close() {
    this.round = null;
    this.refineSoon.cancel();
  }
}

function equal(a, b) {
  return a.length === b.length && a.every((value, d) => value === b[d]);
}
