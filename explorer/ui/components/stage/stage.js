// The stage: one picture, large and always in the same place, that follows whatever is moved.
//
// Beside it stands a surface to move on: dials, a sheet of pictures, or a map. A surface moves the
// latent (`move`, then `commit` when it is meant), or has something looked at for a while (`peek`),
// after which what was there comes back. Python hears of it once, when things rest.

import { reader } from "../shared/bytes.js";
import { calm, follow, h, later } from "../shared/dom.js";
import { mount } from "../shared/mount.js";
import { Screen, thumbnail } from "../shared/paint.js";
import { Decoder } from "../shared/socket.js";
import { Tiles } from "../shared/tiles.js";
import { TYPICAL } from "../shared/typical.js";
import { Dials } from "./dials.js";
import { Drift } from "./drift.js";
import { Gauge } from "./gauge.js";
import { Past } from "./past.js";
import { PointMap } from "./map.js";
import { Sheet } from "./sheet.js";

const SURFACES = { dials: Dials, sheet: Sheet, map: PointMap };
const REST = 350; // ms without a change before things count as at rest
const PATIENCE = 800; // ms without a first picture before that is explained
const READ = 100; // ms between two words: read, not flickered
const GLIDE = 700; // ms from one picture to another
const CAPTION = 7000; // ms that a caption stays
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Whether a key goes into a text, which has an undo of its own. */
const writes = (event) => event.composedPath()[0].matches?.("input:not([type=range]), textarea, [contenteditable]");

const rounded = (z) => Array.from(z, (value) => Math.round(value * 1e5) / 1e5);

let met = false; // whether somebody has taken hold of a stage in this tab

class Stage {
  constructor(element) {
    this.canvas = h("canvas", { role: "img", "data-testid": "stage-canvas" });
    this.caption = h("div", { class: "chip caption" });
    this.status = h("div", { class: "chip status", role: "status" });
    this.frame = h("div", { class: "frame", role: "group" }, this.canvas, this.caption, this.status);
    this.gauge = new Gauge();
    this.speed = h("span", { class: "faint speed", title: "From your hand to the screen" });
    const mend = "Moves the picture towards others until it is no longer unusual";
    this.snapButton = h("button", { type: "button", title: mend, onclick: () => this.snap() }, "Make it typical");
    this.past = new Past((z) => this.jump(z));
    this.buttons = h("div", { class: "buttons" });
    const bar = h("div", { class: "bar" }, this.gauge.element, this.speed, this.buttons);
    this.side = h("div", { class: "side" });
    const past = h("div", { class: "history" }, this.past.button, this.past.element);
    this.root = h("div", { class: "stage" }, h("div", { class: "view" }, this.frame, bar, past), this.side);
    element.append(this.root);

    this.screen = new Screen(this.frame, this.canvas);
    this.decoder = new Decoder((answer) => this.draw(answer), (state) => this.connection(state));
    this.drift = new Drift(this);
    this.restSoon = later(() => this.settle(), REST);
    this.commitSoon = later(() => this.commit(), REST);
    this.patience = setTimeout(() => this.excuse(), PATIENCE);
    this.hands();
  }

  // -- what Python says

  update({ header, body }) {
    const take = reader(body);
    const before = this.header;
    const fresh = before?.model !== header.model || before?.revision !== header.revision;
    this.header = header;
    if (before?.surface !== header.surface) this.furnish(header.surface);
    this.screen.expect(header.spec);
    this.decoder.enter(header.ticket);
    if (before?.model !== header.model) this.past.open(header.model);
    if (before?.model !== header.model || before.generation !== header.generation) this.tile();
    const origin = take(Float32Array, header.size);
    const z = this.surface.update(header, take, origin, fresh);
    if (fresh) {
      this.halt();
      this.z = Array.from(z);
      if (!met) this.say(header.captions);
    }
    if (!this.preview) this.wish(performance.now(), "open");
    if (fresh && !met) this.drift.begin();
  }

  /** Another surface beside the picture, with the buttons that go with it. */
  furnish(name) {
    this.surface?.close();
    this.surface = new SURFACES[name](this);
    const { element, buttons, movable } = this.surface;
    this.root.dataset.surface = name;
    this.side.replaceChildren(element);
    this.buttons.replaceChildren(...buttons, this.snapButton);
    this.frame.classList.toggle("movable", movable);
    this.frame.tabIndex = movable ? 0 : -1;
    this.frame.setAttribute("aria-label", movable ? "Drag the picture, or use the arrow keys" : "The picture");
  }

  /** One sentence after the other on a picture that nobody has touched. */
  say(captions) {
    clearInterval(this.saying);
    if (!captions.length) return;
    let k = 0;
    const next = () => this.note(captions[k++ % captions.length]);
    next();
    this.saying = setInterval(next, CAPTION);
  }

  /** A model of two numbers is drawn from tiles while it moves. */
  async tile() {
    this.tiles = null;
    const { model, size, generation, y } = this.header;
    if (size !== 2 || y !== null) return;
    const tiles = await Tiles.of(model, generation, (question) => this.decoder.batch(question, true));
    if (this.header.generation === generation) this.tiles = tiles;
  }

  // -- what a hand does

  hands() {
    let last = null;
    follow(this.frame, {
      start: (event) => {
        if (!this.header || !this.surface.movable) return false;
        this.touch();
        last = [event.clientX, event.clientY];
      },
      move: (event) => {
        const width = this.frame.clientWidth;
        const z = this.surface.shift((event.clientX - last[0]) / width, (event.clientY - last[1]) / width);
        last = [event.clientX, event.clientY];
        this.move(z, event.timeStamp, "drag");
      },
      end: () => this.commit(),
    });
    this.frame.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("focusout", () => this.commitSoon.flush()); // perhaps to leave the page
    this.undoing = (event) => {
      if (event.key.toLowerCase() !== "z" || !(event.ctrlKey || event.metaKey) || writes(event)) return;
      event.preventDefault();
      this.past.go(event.shiftKey ? 1 : -1);
    };
    document.addEventListener("keydown", this.undoing);
  }

  key(event) {
    if (event.target !== this.frame || !this.surface.movable) return;
    const step = KEYS[event.key];
    if (!step && event.key !== "Home") return;
    event.preventDefault();
    this.touch();
    const z = step ? this.surface.step(...step, event.shiftKey ? 1 : 0.1) : this.surface.home();
    this.move(z, event.timeStamp, "key");
    this.commitSoon();
  }

  /** A hand is there: nothing moves by itself any more. */
  touch() {
    met = true;
    clearInterval(this.saying);
    this.note("");
    this.halt();
  }

  // -- moving

  /** The picture of latent `z`, from now on. */
  move(z, event_at, cause) {
    this.z = z;
    this.preview = null;
    this.wish(event_at, cause);
  }

  /** The picture of `where` ({ z }, { near } or { index }) while it is pointed at; null is the end. */
  peek(where, event_at) {
    if (!where && !this.preview) return;
    this.halt();
    this.preview = where;
    this.wish(event_at, "peek");
  }

  /** Takes what a map knows a place of. */
  async take(where) {
    this.touch();
    const answer = await this.decoder.batch(this.question(where), true);
    if (answer) this.jump(answer.header.z);
  }

  async snap() {
    this.touch();
    const answer = await this.decoder.batch({ ...this.question({ z: this.z }), snap: true }, true);
    if (answer) this.jump(answer.header.z);
  }

  /** To a latent from elsewhere, on which the surface goes on. */
  jump(z) {
    const from = this.preview?.z ?? this.z;
    this.touch();
    this.surface.anchor(z);
    this.glide(from, z);
  }

  /** From one picture to another, seen all the way; then it is meant. */
  glide(from, to) {
    const arrive = () => {
      this.move(to, performance.now(), "arrival");
      this.commit();
    };
    if (calm()) {
      arrive();
      return;
    }
    this.animate((t) => {
      this.z = to; // whoever takes hold on the way goes on from there
      const share = Math.min(1, (1000 * t) / GLIDE);
      const ease = share * share * (3 - 2 * share);
      this.preview = { z: from.map((value, d) => value + ease * (to[d] - value)) };
      if (share === 1) arrive();
      else this.wish(performance.now(), "glide");
      return share < 1;
    });
  }

  /** Calls frame(seconds) at every frame, but no sooner than `pause` ms, until it returns false. */
  animate(frame, pause = 0) {
    this.halt();
    const start = performance.now();
    let last = -Infinity;
    const tick = (now) => {
      this.animation = requestAnimationFrame(tick);
      if (now - last < pause) return;
      last = now;
      if (frame((now - start) / 1000) === false) cancelAnimationFrame(this.animation);
    };
    this.animation = requestAnimationFrame(tick);
  }

  /** Ends what moves by itself, and what is only looked at. */
  halt() {
    cancelAnimationFrame(this.animation);
    this.preview = null;
  }

  commit() {
    this.commitSoon.cancel();
    const { model, revision } = this.header;
    this.send("rested", { model, revision, z: rounded(this.z), values: this.surface.values() });
  }

  // -- pictures

  question(where) {
    const { model, y } = this.header;
    const told = where.z ? { z: [rounded(where.z)] } : where;
    return y === null ? { model, ...told } : { model, y, ...told };
  }

  wish(event_at, cause) {
    const where = this.preview ?? { z: this.z };
    const tiled = where.z && this.tiles?.at(where.z);
    const note = { event_at, cause, z: this.z };
    if (tiled) {
      this.decoder.drop(); // an answer still to come would be older
      this.draw({ ...tiled, note, stamp: 0, requested_at: performance.now(), source: "tiles" });
    } else this.decoder.ask(this.question(where), note);
    if (cause === "drift") return; // slow: what the dials show from here stays nearly true
    this.decoder.clearBatches();
    this.restSoon();
  }

  draw({ header, pixels, note, stamp, requested_at, source = "server" }) {
    this.status.textContent = header.error ?? "";
    if (header.error) return;
    this.screen.draw(header, pixels);
    const drawn_at = performance.now();
    const { z, ...told } = note;
    const waited = !["open", "rest"].includes(note.cause);
    if (waited) this.pace = this.pace ? 0.9 * this.pace + (drawn_at - note.event_at) / 10 : drawn_at - note.event_at;
    this.drawn = header;
    this.telling ??= setTimeout(() => this.tell(), READ);
    if ((!waited || note.cause === "arrival") && !this.preview && !this.drift.on) this.remember(z);
    const detail = { stamp, ...told, requested_at, drawn_at, queued: this.decoder.queued, source };
    this.canvas.dispatchEvent(new CustomEvent("stage:frame", { detail, bubbles: true, composed: true }));
  }

  /** What the canvas shows is a step that one may come back to. */
  remember(z) {
    this.past.add(z, () => thumbnail(this.canvas));
  }

  /** What is known of the picture drawn last, in words. */
  tell() {
    this.telling = null;
    this.speed.textContent = this.pace ? `${Math.round(this.pace)} ms` : "";
    const typical = this.drawn.typicality?.[0];
    const word = this.gauge.show(typical);
    this.snapButton.disabled = !(typical <= TYPICAL);
    const facts = [...(this.drawn.shows ?? []), ...this.surface.words()].join(", ");
    const sentence = `A picture that ${this.header.name} made${facts && `: ${facts}`}.${word && ` ${word}.`}`;
    this.canvas.setAttribute("aria-label", sentence);
  }

  /** Things rest: the true picture and what it shows, then where one may go from here. */
  settle() {
    const question = { ...this.question(this.preview ?? { z: this.z }), tell: true };
    this.decoder.ask(question, { event_at: performance.now(), cause: "rest", z: this.z });
    this.surface.neighbours();
  }

  /** A word on the picture, such as what is pointed at. */
  note(text) {
    if (text) this.caption.textContent = text; // else what stands there fades
    this.caption.hidden = !text;
    this.caption.ariaHidden = !text;
  }

  excuse() {
    if (!this.drawn && !this.status.textContent) this.status.textContent = "Waking the model\u2026";
  }

  connection(state) {
    this.status.textContent = state === "lost" ? "Connecting again\u2026" : "";
    if (state === "open") this.surface?.connected();
  }

  restyle() {
    this.surface?.restyle();
  }

  close() {
    document.removeEventListener("keydown", this.undoing);
    this.halt();
    this.drift.close();
    this.restSoon.cancel();
    this.commitSoon.cancel();
    clearInterval(this.saying);
    clearTimeout(this.patience);
    clearTimeout(this.telling);
    this.surface?.close();
    this.decoder.close();
    this.screen.close();
  }
}

const css = (path) => new URL(path, import.meta.url).href;
export default mount(Stage, css("../shared/part.css"), css("./stage.css"));
