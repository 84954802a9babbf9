// What one did, as a strip of small pictures: each brings its own back.

import { h } from "../shared/dom.js";
import { History } from "./history.js";

export class Past {
  /** onpick(z) when a step is to come back onto the stage. */
  constructor(onpick) {
    this.onpick = onpick;
    this.element = h("div", { class: "past", role: "group", "aria-label": "What you did, oldest first" });
    this.button = h("button", { type: "button", title: "Ctrl+Z", onclick: () => this.go(-1) }, "Undo");
  }

  open(model) {
    this.history = History.of(model);
    this.show();
  }

  /** A step came to rest on the stage; `picture` makes its small canvas. */
  add(z, picture) {
    if (this.history.add(z, picture)) this.show();
  }

  /** Brings back the step before (-1), after (1), or any other. */
  go(by) {
    const step = this.history.go(by);
    if (!step) return;
    this.show();
    this.onpick(step.z);
  }

  show() {
    const { steps, at } = this.history;
    const shown = steps.map(({ picture }, k) => {
      const current = k === at ? "true" : null;
      const button = h("button", { type: "button", "aria-label": `Step ${k + 1} of ${steps.length}`, "aria-current": current });
      button.append(picture);
      button.addEventListener("click", () => this.go(k - this.history.at));
      return button;
    });
    this.element.replaceChildren(...shown);
    this.element.scrollLeft = this.element.scrollWidth;
    this.button.disabled = at <= 0;
  }
}
