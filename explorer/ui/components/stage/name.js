// What a dial is called: by what it changes, until a visitor who sees more calls it otherwise.

import { h } from "../shared/dom.js";

const LONGEST = 40;

export class Name {
  /** onchange(name) when a visitor has given it another; an empty one is the first again. */
  constructor(label, model, onchange) {
    this.label = label;
    this.place = `latent-explorer/dial/${model}/${label}`;
    this.onchange = onchange;
    this.element = h("button", { type: "button", class: "name", title: "Press to call it otherwise", onclick: () => this.edit() });
    this.show();
  }

  get text() {
    return read(this.place) || this.label;
  }

  show() {
    this.element.textContent = this.text;
  }

  edit() {
    const field = h("input", { class: "name", maxlength: LONGEST, placeholder: this.label, "aria-label": `Call ${this.text} otherwise` });
    field.value = this.text;
    let open = true;
    const close = (name) => {
      if (!open) return; // leaving the page it is on blurs it, too
      open = false;
      if (name !== null) write(this.place, name.trim() === this.label ? "" : name.trim());
      this.show();
      field.replaceWith(this.element);
      this.onchange(this.text);
    };
    field.addEventListener("keydown", (event) => {
      event.stopPropagation(); // the page has keys of its own
      if (event.key === "Enter") close(field.value);
      else if (event.key === "Escape") close(null);
      else return;
      this.element.focus();
    });
    field.addEventListener("blur", () => close(field.value));
    this.element.replaceWith(field);
    field.select();
    field.focus();
  }
}

// a browser may keep nothing for us; then a name lasts as long as the page

const kept = new Map();

function read(place) {
  try {
    return localStorage.getItem(place) ?? kept.get(place);
  } catch {
    return kept.get(place);
  }
}

function write(place, name) {
  kept.set(place, name);
  try {
    if (name) localStorage.setItem(place, name);
    else localStorage.removeItem(place);
  } catch {
    // as above
  }
}
