// "Still on the map?": how typical the picture on the stage is, as a meter and a word.

import { h } from "../shared/dom.js";
import { filled, inWords } from "../shared/typical.js";

export class Gauge {
  constructor() {
    this.fill = h("span");
    this.word = h("span", { class: "word" });
    this.element = h("div", { class: "gauge", hidden: true }, h("span", { class: "meter" }, this.fill), this.word);
  }

  /** Shows a share in [0, 1], or nothing where there is none; the word that stands there. */
  show(share) {
    this.element.hidden = share === undefined;
    if (share === undefined) return "";
    const { word, meaning } = inWords(share);
    this.element.dataset.level = word;
    this.element.title = `Still on the map? ${meaning}`;
    this.word.textContent = word;
    this.fill.style.width = `${100 * filled(share)}%`;
    return word;
  }
}
