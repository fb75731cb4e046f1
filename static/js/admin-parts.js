// The pieces that the operator's details are made of.

import { h } from "./dom.js";

/** @typedef {[string, import("./dom.js").Child]} Pair */

/** @param {Pair[]} pairs */
export const facts = (pairs) => h("dl", { className: "facts-list" }, ...pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

/** @param {string} label @param {string[]} heads @param {import("./dom.js").Child[][]} lines */
export const table = (label, heads, lines) => h("div", { className: "table-wrap", role: "region", "aria-label": label, tabIndex: 0 }, h("table", { className: "table" },
  h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
  h("tbody", {}, ...lines.map((line) => h("tr", {}, ...line.map((cell) => h("td", {}, cell)))))));

/** @param {string} text */
export const muted = (text) => h("p", { className: "muted" }, text);

/** A section that is made anew only when what it shows has changed, so that focus, selection and places stay. */
export class Part {
  #told = "";

  /** @param {string} [title] @param {string} [className] */
  constructor(title, className = "") {
    this.body = h("div", { className });
    this.element = h("section", { hidden: true }, title ? h("h3", {}, title) : null, this.body);
  }

  /** @param {unknown} data what is shown @param {() => (Node | string)[]} make its elements; none hide the section */
  show(data, make) {
    const told = JSON.stringify(data) ?? "";
    if (told === this.#told) return;
    this.#told = told;
    const { activeElement } = document;
    const stops = () => /** @type {HTMLElement[]} */ ([...this.body.querySelectorAll("[tabindex], a, button")]);
    const at = activeElement ? stops().indexOf(/** @type {HTMLElement} */ (activeElement)) : -1;
    const made = make();
    this.body.replaceChildren(...made);
    this.element.hidden = made.length === 0;
    if (at >= 0) stops()[at]?.focus({ preventScroll: true });
  }
}
