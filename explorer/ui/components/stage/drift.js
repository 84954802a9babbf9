// The picture moves by itself: at first, until somebody takes hold of it, and again when nobody has
// touched anything for a minute.

import { calm } from "../shared/dom.js";

const IDLE = 60_000; // ms without a touch
const EVERY = 33; // ms per frame
const ENOUGH = 600; // seconds: an empty room needs no show
const TOUCHES = ["pointerdown", "pointerup", "keydown", "wheel"];

export class Drift {
  constructor(stage) {
    this.stage = stage;
    this.on = false;
    this.touched = () => this.wait();
    for (const touch of TOUCHES) addEventListener(touch, this.touched, { capture: true, passive: true });
  }

  /** Begins, where the page is one that drifts and motion is welcome. */
  begin() {
    clearTimeout(this.timer);
    if (!this.stage.header.drift || calm()) return;
    this.on = true;
    this.stage.say(this.stage.header.captions);
    const path = this.stage.surface.drifting();
    this.stage.animate((t) => {
      // the filmstrips come in between, or a slow machine would never draw them
      if (!this.stage.decoder.batching) this.stage.move(path(t), performance.now(), "drift");
      return t < ENOUGH;
    }, EVERY);
  }

  /** Somebody is there: what they see stays, and a minute begins. */
  wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.begin(), IDLE);
    if (!this.on) return;
    this.on = false;
    this.stage.halt();
    this.stage.remember(this.stage.z);
    this.stage.commit();
  }

  close() {
    this.on = false;
    clearTimeout(this.timer);
    for (const touch of TOUCHES) removeEventListener(touch, this.touched, { capture: true });
  }
}
