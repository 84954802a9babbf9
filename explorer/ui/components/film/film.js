// A film to scrub: the strip of its pictures is the scrubber, and it plays to and fro.

import { calm, clamp, follow, h } from "../shared/dom.js";
import { mount } from "../shared/mount.js";
import { bitmap, place, Screen } from "../shared/paint.js";
import { inWords } from "../shared/typical.js";

const TILES = 9;
const TILE = 96; // pixels of a tile on its canvas
const PASS = 2400; // ms from one end to the other

class Film {
  constructor(element) {
    this.canvas = h("canvas", { role: "img", "data-testid": "film-canvas" });
    this.label = h("div", { class: "chip" });
    this.frame = h("div", { class: "frame" }, this.canvas, this.label);
    this.strip = h("canvas", { width: TILES * TILE, height: TILE, "aria-hidden": "true" });
    this.line = h("canvas", { class: "line", width: 720, height: 36, "aria-hidden": "true" });
    this.handle = h("span", { class: "handle" });
    this.band = h(
      "div",
      { class: "band", role: "slider", tabindex: 0, "aria-label": "Place in the film", "aria-valuemin": 1 },
      this.strip,
      this.handle,
    );
    this.button = h("button", { type: "button", onclick: () => this.toggle() });
    this.word = h("span", { class: "faint" });
    const bar = h("div", { class: "bar" }, this.button, this.word);
    element.append(h("div", { class: "film" }, this.frame, this.band, this.line, bar));

    this.screen = new Screen(this.frame, this.canvas);
    follow(this.band, { start: (event) => this.reach(event), move: (event) => this.reach(event), end: () => {} });
    this.band.addEventListener("keydown", (event) => this.key(event));
  }

  update({ header, body }) {
    Object.assign(this, { header, pixels: body, index: 0, way: 1 });
    this.screen.expect(header);
    this.band.setAttribute("aria-valuemax", header.n);
    const context = this.strip.getContext("2d");
    for (let k = 0; k < TILES; k++) {
      const source = Math.round(((k + 0.5) / TILES) * header.n - 0.5);
      const tile = bitmap(header, body, clamp(source, 0, header.n - 1));
      place(context, tile, k * TILE, 0, TILE, TILE, header.pixelated);
    }
    this.line.hidden = this.word.hidden = !header.gauge;
    this.button.hidden = header.n < 2;
    this.show();
    this.play(!calm() && header.n > 1);
  }

  restyle() {
    const { gauge } = this.header;
    if (!gauge) return;
    const context = this.line.getContext("2d");
    const { width, height } = this.line;
    const at = (k) => [((k + 0.5) / gauge.length) * width, height - 3 - Math.sqrt(gauge[k]) * (height - 6)];
    context.clearRect(0, 0, width, height);
    context.strokeStyle = getComputedStyle(this.line).color;
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.beginPath();
    gauge.forEach((_, k) => context.lineTo(...at(k)));
    context.stroke();
  }

  show() {
    const { n, labels, gauge } = this.header;
    const k = clamp(Math.round(this.index), 0, n - 1);
    this.screen.draw(this.header, this.pixels, k);
    this.handle.style.left = `${(100 * (this.index + 0.5)) / n}%`;
    this.label.textContent = labels?.[k] ?? "";
    const words = [labels?.[k], gauge && inWords(gauge[k]).word].filter(Boolean).join(", ");
    this.word.textContent = gauge ? `Still on the map? ${inWords(gauge[k]).word}` : "";
    this.canvas.setAttribute("aria-label", `Picture ${k + 1} of ${n}${words && `: ${words}`}`);
    this.band.setAttribute("aria-valuenow", k + 1);
    this.band.setAttribute("aria-valuetext", `${k + 1} of ${n}${words && `, ${words}`}`);
  }

  reach(event) {
    this.play(false);
    const box = this.band.getBoundingClientRect();
    const share = clamp((event.clientX - box.left) / box.width, 0, 1);
    this.index = clamp(share * this.header.n - 0.5, 0, this.header.n - 1);
    this.show();
  }

  key(event) {
    const last = this.header.n - 1;
    const to = {
      ArrowLeft: Math.round(this.index) - 1,
      ArrowRight: Math.round(this.index) + 1,
      Home: 0,
      End: last,
    }[event.key];
    if (event.key === " ") this.toggle();
    else if (to === undefined) return;
    else {
      this.play(false);
      this.index = clamp(to, 0, last);
      this.show();
    }
    event.preventDefault();
  }

  toggle() {
    this.play(!this.playing);
  }

  play(on) {
    this.playing = on;
    this.button.textContent = on ? "Pause" : "Play";
    cancelAnimationFrame(this.animation);
    if (!on) return;
    let before = performance.now();
    const tick = (now) => {
      this.animation = requestAnimationFrame(tick);
      const last = this.header.n - 1;
      this.index += (this.way * last * Math.min(100, now - before)) / PASS;
      before = now;
      if (this.index >= last || this.index <= 0) this.way = this.index <= 0 ? 1 : -1;
      this.index = clamp(this.index, 0, last);
      this.show();
    };
    this.animation = requestAnimationFrame(tick);
  }

  close() {
    cancelAnimationFrame(this.animation);
    this.screen.close();
  }
}

const css = (path) => new URL(path, import.meta.url).href;
export default mount(Film, css("../shared/part.css"), css("./film.css"));
