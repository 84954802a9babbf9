// Dials beside the picture, and an endless plane under it: dragging the picture moves along the
// plane, or along the first two dials where there is none; each dial adds its direction.

import { h } from "../shared/dom.js";
import { Dial, TILES } from "./dial.js";
import { Plane } from "./plane.js";

const CELLS = 1.6; // of the plane in the width of the picture
const SPEED = 0.1; // cells a second, while it drifts

export class Dials {
  constructor(stage) {
    this.stage = stage;
    this.movable = true;
    this.element = h("div", { class: "dials" });
    const surprise = h("button", { type: "button", class: "main", onclick: () => this.surprise() }, "Surprise me");
    this.buttons = [surprise, h("button", { type: "button", onclick: () => this.reset() }, "Reset")];
    this.axes = [];
    this.place = [0, 0];
  }

  /** The latent to begin with; dials keep what a hand gave them unless it is a fresh beginning. */
  update(header, take, origin, fresh) {
    const kept = this.axes.map(({ value }) => value);
    this.directions = header.axes.map(() => take(Float32Array, header.size));
    const corners = header.seed === null ? null : take(Float32Array, 256 * header.size);
    this.build(header.axes, header.model);
    const values = fresh || kept.length !== this.axes.length ? header.values : kept;
    values.forEach((value, k) => this.axes[k].set(value));
    if (fresh) {
      this.base = Array.from(origin);
      this.plane = corners && new Plane(corners, header.seed);
      this.place = [0, 0];
      this.plane?.tie(this.place, origin);
    }
    return this.latent();
  }

  build(axes, model) {
    const named = JSON.stringify([model, axes]);
    if (named === this.named) return; // their strips stay as they are until newer ones come
    this.named = named;
    const handlers = {
      onmove: (at, cause) => {
        this.stage.touch();
        this.stage.move(this.latent(), at, cause);
      },
      onrest: () => this.stage.commit(),
      onkey: () => this.stage.commitSoon(),
    };
    this.axes = axes.map((axis) => new Dial(axis, model, handlers));
    this.element.replaceChildren(...this.axes.map((dial) => dial.element));
  }

  /** The latent of plane and dials, without one dial where `except` names it. */
  latent(except = -1) {
    const z = this.plane ? this.plane.at(this.place) : [...this.base];
    this.axes.forEach(({ value }, k) => {
      if (k === except || !value) return;
      this.directions[k].forEach((d, i) => {
        z[i] += value * d;
      });
    });
    return z;
  }

  values() {
    return this.axes.map(({ value }) => Math.round(value * 1e4) / 1e4);
  }

  words() {
    const turned = this.axes.filter(({ value }) => Math.abs(value) >= 0.05);
    return turned.map((dial) => `${dial.label} ${dial.readout.textContent}`);
  }

  // -- moves: each returns the latent it leads to

  /** By so many widths of the picture. */
  shift(dx, dy) {
    if (this.plane) {
      this.place = [this.place[0] + CELLS * dx, this.place[1] + CELLS * dy];
    } else {
      [dx, -dy].forEach((d, k) => {
        const dial = this.axes[k];
        dial?.set(dial.value + d * (dial.high - dial.low));
      });
    }
    return this.latent();
  }

  step(dx, dy, size) {
    if (this.plane) this.place = [this.place[0] + size * dx, this.place[1] + size * dy];
    else [dx, -dy].forEach((d, k) => this.axes[k]?.set(this.axes[k].value + size * d));
    return this.latent();
  }

  home() {
    this.place = [...(this.plane?.knot.place ?? [0, 0])];
    this.axes.forEach((dial) => dial.set(0));
    return this.latent();
  }

  /** Goes on from `z`: the plane is led through it, and the dials begin at nought. */
  anchor(z) {
    this.axes.forEach((dial) => dial.set(0));
    if (this.plane) this.plane.tie(this.place, z);
    else this.base = [...z];
  }

  surprise() {
    const from = this.latent();
    const random = () => 2 * Math.random() - 1;
    this.stage.touch();
    if (this.plane) this.place = [random() * 1e4, random() * 1e4];
    else this.axes.forEach((dial) => dial.set(1.2 * (random() + random() + random())));
    this.stage.glide(from, this.latent());
  }

  reset() {
    const from = this.latent();
    this.stage.touch();
    this.stage.glide(from, this.home());
  }

  /** A function from seconds to the latent of a slow walk from here. */
  drifting() {
    const from = [...this.place];
    const values = this.axes.map(({ value }) => value);
    return (t) => {
      if (this.plane) {
        this.place = [from[0] + 2 * SPEED * t, from[1] + SPEED * (t + 5.2 * Math.sin(t / 7))];
      } else {
        [Math.sin(t / 2), Math.sin(t / 3)].forEach((wave, k) => this.axes[k]?.set(values[k] + 1.5 * wave));
      }
      return this.latent();
    };
  }

  /** Asks where each dial leads from here, one dial at a time, behind everything else. */
  async neighbours() {
    const round = (this.round = {});
    for (const [k, dial] of this.axes.entries()) {
      const base = this.latent(k);
      const along = dial.stops.map((stop) => base.map((value, d) => value + stop * this.directions[k][d]));
      const { model, y, spec } = this.stage.header;
      const answer = await this.stage.decoder.batch(y === null ? { model, z: along } : { model, y, z: along });
      if (this.round !== round || answer?.header.n !== TILES) return;
      dial.draw(answer, spec.pixelated);
    }
  }

  connected() {}
  restyle() {}

  close() {
    this.round = null;
  }
}
