// What every coordinate carries, over the steps: a row each, the busiest first.

import { h } from "../shared/dom.js";

const RAMP = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [253, 231, 37],
]; // viridis (Smith & van der Walt 2015, CC0): even to the eye, and without colour vision
const LEAST = 0.1; // nats that count as carrying something

function colour(share) {
  const place = Math.min(1, Math.max(0, share)) * (RAMP.length - 1);
  const k = Math.min(RAMP.length - 2, Math.floor(place));
  return RAMP[k].map((a, c) => Math.round(a + (RAMP[k + 1][c] - a) * (place - k)));
}

export class Strip {
  constructor() {
    this.canvas = h("canvas", { role: "img", "data-testid": "strip" });
    this.word = h("div", { class: "faint note" });
    this.element = h("div", { class: "strip", hidden: true }, this.canvas, this.word);
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.tell());
  }

  /** Draws `looks`, `[step, nats of each]`, under a plot whose x axis it shares. */
  draw(looks, plot) {
    this.looks = looks;
    this.element.hidden = !looks.length;
    if (!looks.length) return;
    const last = looks.at(-1)[1];
    this.order = last.map((_, k) => k).sort((a, b) => last[b] - last[a]);
    this.most = Math.max(LEAST, ...looks.slice(-1).flatMap(([, each]) => each));
    const ratio = devicePixelRatio || 1;
    const row = Math.max(3, Math.min(12, Math.floor(180 / last.length)));
    const box = plot.bbox;
    const height = row * last.length;
    this.canvas.style.height = `${height}px`;
    this.canvas.width = Math.round(plot.width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.at = (step) => plot.valToPos(step, "x") + box.left / ratio;
    const context = this.canvas.getContext("2d");
    context.save();
    context.beginPath();
    context.rect(box.left, 0, box.width, this.canvas.height);
    context.clip();
    context.scale(ratio, ratio);
    looks.forEach(([step, each], k) => {
      // a look counts until the next
      const from = k ? this.at(step) : Math.min(this.at(0), this.at(step));
      const to = k + 1 < looks.length ? this.at(looks[k + 1][0]) : Math.max(this.at(step) + 2, this.at(plot.scales.x.max));
      this.order.forEach((coordinate, y) => {
        context.fillStyle = `rgb(${colour(each[coordinate] / this.most)})`;
        context.fillRect(from, y * row, to - from + 0.5, row - (row > 5 ? 1 : 0));
      });
    });
    context.restore();
    this.row = row;
    this.tell();
  }

  tell() {
    const last = this.looks.at(-1)[1];
    const used = last.filter((nats) => nats > LEAST).length;
    const text = `What each coordinate carries: ${used} of ${last.length} more than ${LEAST} nats, the busiest ${Math.max(...last).toFixed(1)}. Dark ones carry nothing.`;
    this.word.textContent = text;
    this.canvas.setAttribute("aria-label", text);
  }

  point(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    const k = this.looks.findLastIndex(([step]) => this.at(step) <= event.clientX - left);
    const coordinate = this.order[Math.floor((event.clientY - top) / this.row)];
    if (coordinate === undefined) return;
    const [step, each] = this.looks[Math.max(0, k)];
    this.word.textContent = `z${coordinate + 1} at step ${step.toLocaleString("en")}: ${each[coordinate].toFixed(2)} nats`;
  }
}
