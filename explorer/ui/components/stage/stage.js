// The stage: a picture that follows the finger.
//
// Dragging the picture moves along an endless plane (or along the first two dials where there is no
// plane); each dial adds its direction. The picture is asked for while things move; Python hears of
// it once, when they rest.

import { reader } from "../shared/bytes.js";
import { calm, follow, h, later } from "../shared/dom.js";
import { mount } from "../shared/mount.js";
import { Screen } from "../shared/paint.js";
import { Decoder } from "../shared/socket.js";
import { filled, inWords } from "../shared/typical.js";
import { Dial, TILES } from "./dial.js";
import { Plane } from "./plane.js";

const CELL = 320; // pixels of drag from one corner of the plane to the next
const REST = 350; // ms without a change before neighbours are asked for
const PATIENCE = 800; // ms without a first picture before that is explained
const READ = 100; // ms between two words: read, not flickered
const DRIFT = { speed: 0.1, every: 33, enough: 90_000 }; // cells per second, ms per frame, ms in all
const GLIDE = 700; // ms of a surprise

class Stage {
  constructor(element) {
    this.canvas = h("canvas", { role: "img", "data-testid": "stage-canvas" });
    this.caption = h("div", { class: "chip caption" });
    this.status = h("div", { class: "chip status", role: "status" });
    this.frame = h(
      "div",
      { class: "frame", tabindex: 0, role: "group", "aria-label": "Drag the picture, or use the arrow keys" },
      this.canvas,
      this.caption,
      this.status,
    );
    this.meter = h("span", { class: "meter" }, h("span"));
    this.word = h("span", { class: "word" });
    this.gauge = h("div", { class: "gauge", hidden: true }, this.meter, this.word);
    this.speed = h("span", { class: "faint speed", title: "From your hand to the screen" });
    this.dials = h("div", { class: "dials" });
    const surprise = h("button", { type: "button", class: "main", onclick: () => this.surprise() }, "Surprise me");
    const reset = h("button", { type: "button", onclick: () => this.reset() }, "Reset");
    const bar = h("div", { class: "bar" }, this.gauge, this.speed, h("div", { class: "buttons" }, surprise, reset));
    element.append(h("div", { class: "stage" }, h("div", { class: "view" }, this.frame, bar), this.dials));

    this.screen = new Screen(this.frame, this.canvas);
    this.decoder = new Decoder((answer) => this.draw(answer), (state) => this.connection(state));
    this.rest = later(() => this.neighbours(), REST);
    this.commitSoon = later(() => this.commit(), REST);
    this.patience = setTimeout(() => this.excuse(), PATIENCE);
    this.dragging();
    this.frame.addEventListener("keydown", (event) => this.key(event));
  }

  // -- what Python says

  update({ header, body }) {
    const take = reader(body);
    const origin = take(Float32Array, header.size);
    const directions = header.axes.map(() => take(Float32Array, header.size));
    this.plane = header.seed === null ? null : new Plane(take(Float32Array, 256 * header.size), header.seed);
    const moved = this.header?.model !== header.model || this.header?.revision !== header.revision;
    const kept = this.axes?.map(({ value }) => value);
    Object.assign(this, { header, origin, directions });
    this.build(header.axes);
    if (moved || !kept || kept.length !== this.axes.length) {
      this.place = [...header.place];
      header.values.forEach((value, k) => this.axes[k].set(value));
    } else {
      kept.forEach((value, k) => this.axes[k].set(value));
    }
    this.screen.expect(header.spec);
    this.caption.textContent = header.caption ?? "";
    this.caption.hidden = this.touched;
    this.stop();
    this.wish(performance.now(), "open");
    if (header.drift && !this.touched && !calm()) this.drift();
  }

  build(axes) {
    const handlers = {
      onmove: (at, source) => {
        this.touch();
        this.wish(at, source);
      },
      onrest: () => this.commit(),
      onkey: () => this.commitSoon(),
    };
    this.axes = axes.map((axis) => new Dial(axis, handlers));
    this.dials.replaceChildren(...this.axes.map((dial) => dial.element));
    this.dials.hidden = !axes.length;
  }

  // -- what a hand does

  dragging() {
    let last = null;
    follow(this.frame, {
      start: (event) => {
        if (!this.header) return false;
        this.touch();
        this.caption.hidden = true;
        last = [event.clientX, event.clientY];
      },
      move: (event) => {
        this.shift(event.clientX - last[0], event.clientY - last[1]);
        last = [event.clientX, event.clientY];
        this.wish(event.timeStamp, "drag");
      },
      end: () => this.commit(),
    });
  }

  /** Moves the picture's place by so many pixels of drag. */
  shift(dx, dy) {
    if (this.plane) {
      this.place = [this.place[0] + dx / CELL, this.place[1] + dy / CELL];
      return;
    }
    const width = this.frame.clientWidth;
    [dx, -dy].forEach((d, k) => {
      const dial = this.axes[k];
      dial?.set(dial.value + (d / width) * (dial.high - dial.low));
    });
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step || event.target !== this.frame) return;
    event.preventDefault();
    this.touch();
    this.caption.hidden = true;
    const pixels = event.shiftKey ? CELL : CELL / 10;
    this.shift(step[0] * pixels, step[1] * pixels);
    this.wish(event.timeStamp, "key");
    this.commitSoon();
  }

  surprise() {
    const from = this.latent();
    this.touch();
    const random = () => 2 * Math.random() - 1;
    if (this.plane) this.place = [random() * 1e4, random() * 1e4];
    else this.axes.forEach((dial) => dial.set(1.2 * (random() + random() + random())));
    this.glide(from);
  }

  reset() {
    const from = this.latent();
    this.touch();
    this.place = [...this.header.home];
    this.axes.forEach((dial) => dial.set(0));
    this.glide(from);
  }

  /** A first touch ends the drift; every touch ends a glide. */
  touch() {
    this.touched = true;
    this.stop();
  }

  // -- moving by itself

  /** Calls frame(seconds) until it returns false, no faster than `every` ms. */
  animate(frame, every = 0) {
    this.stop();
    const start = performance.now();
    let last = -Infinity;
    const tick = (now) => {
      this.animation = requestAnimationFrame(tick);
      if (now - last < every) return;
      last = now;
      if (frame((now - start) / 1000) === false) this.stop();
    };
    this.animation = requestAnimationFrame(tick);
  }

  stop() {
    cancelAnimationFrame(this.animation);
    this.gliding = null;
  }

  drift() {
    const from = [...this.place];
    const values = this.axes.map((dial) => dial.value);
    this.animate((t) => {
      const turn = 1.3 * Math.sin(t / 7);
      if (this.plane) {
        this.place = [from[0] + DRIFT.speed * t * 2, from[1] + DRIFT.speed * (t + 4 * turn)];
      } else {
        [Math.sin(t / 2), Math.sin(t / 3)].forEach((wave, k) => this.axes[k]?.set(values[k] + 1.5 * wave));
      }
      // the filmstrips come in between, or a slow machine would never draw them
      if (!this.decoder.batching) this.wish(performance.now(), "drift");
      return 1000 * t < DRIFT.enough;
    }, DRIFT.every);
  }

  /** From another latent to the present one, seen all the way; Python is told once at the end. */
  glide(from) {
    const arrive = () => {
      this.wish(performance.now(), "glide");
      this.commit();
    };
    if (calm()) {
      arrive();
      return;
    }
    const to = this.latent();
    this.animate((t) => {
      const share = Math.min(1, (1000 * t) / GLIDE);
      const ease = share * share * (3 - 2 * share);
      this.gliding = share < 1 ? to.map((value, d) => from[d] + ease * (value - from[d])) : null;
      if (share === 1) arrive();
      else this.wish(performance.now(), "glide");
      return share < 1;
    });
  }

  // -- latents and pictures

  /** The latent of plane and dials, without one dial where `except` names it. */
  latent(except = -1) {
    if (this.gliding) return this.gliding;
    const z = this.plane ? this.plane.at(this.place) : Float64Array.from(this.origin);
    this.axes.forEach((dial, k) => {
      if (k === except || !dial.value) return;
      this.directions[k].forEach((d, i) => {
        z[i] += dial.value * d;
      });
    });
    return z;
  }

  question(latents) {
    const { model, y } = this.header;
    const z = latents.map((latent) => Array.from(latent, (value) => Math.round(value * 1e5) / 1e5));
    return y === null ? { model, z } : { model, z, y };
  }

  wish(event_at, source) {
    this.decoder.ask(this.question([this.latent()]), { event_at, source });
    if (source === "drift") return; // slow: what the dials show from here stays nearly true
    this.decoder.clearBatches();
    this.rest();
  }

  draw({ header, pixels, note, stamp, requested_at }) {
    this.status.textContent = header.error ?? "";
    if (header.error) return;
    this.screen.draw(header, pixels);
    const drawn_at = performance.now();
    const ms = drawn_at - note.event_at;
    if (note.source !== "open") this.pace = this.pace ? 0.9 * this.pace + 0.1 * ms : ms;
    this.drawn = header;
    this.telling ??= setTimeout(() => this.tell(), READ);
    const detail = { stamp, ...note, requested_at, drawn_at, queued: this.decoder.queued };
    this.canvas.dispatchEvent(new CustomEvent("stage:frame", { detail, bubbles: true, composed: true }));
  }

  /** What is known of the picture drawn last, in words. */
  tell() {
    this.telling = null;
    this.speed.textContent = this.pace ? `${Math.round(this.pace)} ms` : "";
    const typical = this.drawn.typicality?.[0];
    const { word, meaning } = inWords(typical ?? 1);
    this.gauge.hidden = typical === undefined;
    this.gauge.dataset.level = word;
    this.gauge.title = `Still on the map? ${meaning}`;
    this.word.textContent = word;
    this.meter.firstChild.style.width = `${100 * filled(typical ?? 1)}%`;
    const turned = this.axes.filter((dial) => Math.abs(dial.value) >= 0.05);
    const dials = turned.map((dial) => `${dial.label} ${dial.readout.textContent}`).join(", ");
    const known = typical === undefined ? "" : ` ${word}.`;
    this.canvas.setAttribute("aria-label", `A picture that ${this.header.name} made${dials && `: ${dials}`}.${known}`);
  }

  /** Asks where each dial leads from here, one dial at a time, behind everything else. */
  async neighbours() {
    const round = (this.round = (this.round ?? 0) + 1);
    const { spec } = this.header;
    for (const [k, dial] of this.axes.entries()) {
      const base = this.latent(k);
      const along = dial.stops.map((stop) => base.map((value, d) => value + stop * this.directions[k][d]));
      const answer = await this.decoder.batch(this.question(along));
      if (round !== this.round || !answer || answer.header.n !== TILES) return;
      dial.draw(answer, spec.pixelated);
    }
  }

  excuse() {
    if (!this.drawn && !this.status.textContent) this.status.textContent = "Waking the model\u2026";
  }

  connection(state) {
    this.status.textContent = state === "lost" ? "Connecting again\u2026" : "";
  }

  commit() {
    this.commitSoon.cancel();
    const { model, revision } = this.header;
    const values = this.axes.map((dial) => Math.round(dial.value * 1e4) / 1e4);
    this.send("value", { model, revision, place: this.place, values });
  }

  close() {
    this.stop();
    this.rest.cancel();
    clearTimeout(this.patience);
    clearTimeout(this.telling);
    this.commitSoon.cancel();
    this.decoder.close();
    this.screen.close();
  }
}

const css = (path) => new URL(path, import.meta.url).href;
export default mount(Stage, css("../shared/part.css"), css("./stage.css"));
