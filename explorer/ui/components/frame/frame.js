// Two points on a picture and the frame that hangs on them; drag either, or the frame as a whole.

import { clamp, follow, h, themed } from "../shared/dom.js";
import { mount } from "../shared/mount.js";
import { bitmap, place } from "../shared/paint.js";

const SHARP = 900; // pixels of the canvas's longer side
const REACH = 0.06; // of the longer side, within which a press takes hold of a point
const HELP = "1 and 2 choose a point, arrow keys move it.";

class Frame {
  constructor(element) {
    this.canvas = h("canvas", { tabindex: 0, role: "application", "data-testid": "frame-canvas" });
    this.told = h("output", { class: "faint", "aria-live": "polite" });
    element.append(h("div", { class: "framing" }, this.canvas, this.told));
    this.chosen = 0;
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("focus", () => this.paint());
    this.canvas.addEventListener("blur", () => this.paint());
    follow(this.canvas, {
      start: (event) => this.begin(event),
      move: (event) => this.go(event),
      end: () => this.commit(),
    });
  }

  update({ header, body }) {
    const before = this.header;
    this.header = header;
    if (before?.id === header.id) return;
    const { width, height, points } = header;
    this.picture = bitmap(header, body);
    this.points = [points.slice(0, 2), points.slice(2)];
    this.scale = SHARP / Math.max(width, height);
    this.canvas.width = Math.round(width * this.scale);
    this.canvas.height = Math.round(height * this.scale);
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    this.canvas.setAttribute("aria-label", `Put the points on ${header.names}. ${HELP}`);
    this.told.textContent = `Drag the points onto ${header.names}.`;
  }

  restyle() {
    this.accent = themed(this.canvas, "--accent");
    this.paint();
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.header;
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  }

  begin(event) {
    this.last = this.at(event);
    const far = this.points.map(([x, y]) => Math.hypot(x - this.last[0], y - this.last[1]));
    const nearest = far[0] <= far[1] ? 0 : 1;
    // a finger is thicker than a point
    this.held = far[nearest] < REACH * Math.max(this.header.width, this.header.height) ? [nearest] : [0, 1];
    this.chosen = nearest;
  }

  go(event) {
    const now = this.at(event);
    this.shift(this.held, now[0] - this.last[0], now[1] - this.last[1]);
    this.last = now;
    this.paint();
  }

  /** Moves points, never onto each other nor out of the picture. */
  shift(which, dx, dy) {
    const { width, height } = this.header;
    const moved = this.points.map(([x, y], k) =>
      which.includes(k) ? [clamp(x + dx, 0, width), clamp(y + dy, 0, height)] : [x, y],
    );
    const apart = Math.hypot(moved[1][0] - moved[0][0], moved[1][1] - moved[0][1]);
    if (apart >= 0.02 * Math.max(width, height)) this.points = moved;
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      const far = Math.max(this.header.width, this.header.height) * (event.shiftKey ? 0.02 : 0.004);
      this.shift([this.chosen], far * step[0], far * step[1]);
      this.commit();
    } else if (event.key === "1" || event.key === "2") this.chosen = Number(event.key) - 1;
    else return;
    event.preventDefault();
    this.paint();
  }

  /** The frame's corners: each is so far along and across the line from point to point. */
  corners() {
    const [[ax, ay], [bx, by]] = this.points;
    const [x, y] = [bx - ax, by - ay];
    return this.header.corners.map(([re, im]) => [ax + re * x - im * y, ay + re * y + im * x]);
  }

  paint() {
    if (!this.header) return;
    const context = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    const s = this.scale;
    place(context, this.picture, 0, 0, width, height, false);
    const outline = new Path2D();
    this.corners().forEach(([x, y], k) => (k ? outline.lineTo(x * s, y * s) : outline.moveTo(x * s, y * s)));
    outline.closePath();
    const outside = new Path2D();
    outside.rect(0, 0, width, height);
    outside.addPath(outline);
    context.fillStyle = "rgb(0 0 0 / 0.55)";
    context.fill(outside, "evenodd");
    context.lineWidth = 3;
    context.strokeStyle = "#fff";
    context.stroke(outline);
    this.points.forEach(([x, y], k) => {
      const chosen = k === this.chosen && this.canvas.matches(":focus");
      for (const [radius, colour] of [[15, "#000"], [12, "#fff"], [9, this.accent]]) {
        context.beginPath();
        context.arc(x * s, y * s, radius + (chosen ? 4 : 0), 0, 7);
        context.fillStyle = colour;
        context.fill();
      }
    });
  }

  commit() {
    this.held = null;
    this.paint();
    this.send("points", { id: this.header.id, points: this.points.flat() });
  }
}

const css = (path) => new URL(path, import.meta.url).href;
export default mount(Frame, css("../shared/part.css"), css("./frame.css"));
