// What one did to pictures of a model, newest last: kept in the tab, over all pages.

const MOST = 24;
const histories = new Map(); // model -> History

export class History {
  constructor() {
    this.steps = []; // { z, picture }
    this.at = -1; // the step that is on the stage
  }

  /** That of a model; the same on every page. */
  static of(model) {
    if (!histories.has(model)) histories.set(model, new History());
    return histories.get(model);
  }

  /** Whether `z` is one step more and not the one on the stage; picture() is asked for only then. */
  add(z, picture) {
    if (this.at >= 0 && equal(this.steps[this.at].z, z)) return false;
    this.steps.push({ z: Array.from(z), picture: picture() });
    if (this.steps.length > MOST) this.steps.shift();
    this.at = this.steps.length - 1;
    return true;
  }

  /** The step so many after the one on the stage (or before it), now on it; none beyond the ends. */
  go(by) {
    const step = this.steps[this.at + by];
    if (step) this.at += by;
    return step;
  }
}

function equal(a, b) {
  return a.length === b.length && a.every((value, d) => Math.abs(value - b[d]) < 1e-4);
}
