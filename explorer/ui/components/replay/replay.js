// How a run learned: its pictures at each snapshot, under a scrubber that plays them.

import { clamp, h } from "../shared/dom.js";
import { mount } from "../shared/mount.js";

const PASS = 6000; // ms from the first to the last
const QUICK = 12; // pictures a second at most
const SMALL = 700; // pixels: narrower sheets are shown with crisp ones

class Replay {
  constructor(element) {
    this.image = h("img", { "data-testid": "replay" });
    this.slider = h("input", { type: "range", min: 0, "aria-label": "Training step", oninput: () => this.reach(+this.slider.value) });
    this.button = h("button", { type: "button", onclick: () => (this.timer ? this.pause() : this.play()) }, "Replay");
    this.word = h("span", { class: "faint", role: "status" });
    this.choice = h("span", { class: "bar", role: "group", "aria-label": "What is shown" });
    const bar = h("div", { class: "bar" }, this.button, this.word, this.choice);
    element.append(h("div", { class: "replay" }, this.image, this.slider, bar));
    this.image.addEventListener("load", () => this.image.classList.toggle("crisp", this.image.naturalWidth < SMALL));
    this.at = 0;
  }

  update({ header }) {
    const other = header.run !== this.header?.run;
    const newest = other || this.at >= this.last;
    this.header = header;
    if (other || !this.kind) this.kind = header.kinds[0]?.kind;
    if (other) this.pause();
    this.choice.replaceChildren(
      ...(header.kinds.length < 2 ? [] : header.kinds).map(({ kind, label }) =>
        h("button", { type: "button", "aria-pressed": String(kind === this.kind), onclick: () => this.choose(kind) }, label),
      ),
    );
    this.slider.max = this.last;
    this.slider.hidden = this.button.hidden = this.last < 1;
    if (newest && !this.timer) this.at = this.last;
    this.show();
  }

  get shown() {
    return this.header.kinds.find(({ kind }) => kind === this.kind) ?? this.header.kinds[0];
  }

  get last() {
    return this.header ? this.shown.steps.length - 1 : -1;
  }

  choose(kind) {
    this.kind = kind;
    this.update({ header: this.header });
  }

  reach(index) {
    this.pause();
    this.at = clamp(index, 0, this.last);
    this.show();
  }

  /** Shows the sheet at `this.at`; resolves once it is drawn, so that none flickers by unseen. */
  async show() {
    const { kind, label, steps } = this.shown;
    const step = steps[this.at];
    const url = new URL(`/api/run/${encodeURIComponent(this.header.run)}/${kind}/${step}.png`, location.href).href;
    const words = step.toLocaleString("en");
    this.slider.value = this.at;
    this.slider.setAttribute("aria-valuetext", `after ${words} steps`);
    this.word.textContent = `After ${words} step${step === 1 ? "" : "s"}`;
    this.image.alt = `${label} by the model after ${words} steps`;
    if (this.image.src === url) return;
    const next = new Image();
    next.src = url;
    try {
      await next.decode();
    } catch {
      return; // it was cut back, or deleted with its run
    }
    if (this.shown.steps[this.at] === step) this.image.src = url;
  }

  play() {
    this.at = this.at >= this.last ? 0 : this.at;
    this.button.textContent = "Pause";
    const pause = Math.max(1000 / QUICK, PASS / (this.last + 1));
    const next = async () => {
      const began = performance.now();
      await this.show();
      if (!this.timer) return;
      if (this.at >= this.last) return this.pause();
      this.timer = setTimeout(() => {
        this.at += 1;
        next();
      }, Math.max(0, pause - (performance.now() - began)));
    };
    this.timer = -1;
    next();
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = null;
    this.button.textContent = "Replay";
  }

  close() {
    this.pause();
  }
}

const css = (path) => new URL(path, import.meta.url).href;
export default mount(Replay, css("../shared/part.css"), css("./replay.css"));
