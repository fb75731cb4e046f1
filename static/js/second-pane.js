// A second pane below the first, or beside it where there is room: which one it is, its bar, and the line between both. The panes themselves stay where they are.

import { Divider } from "./divider.js";
import { $, h } from "./dom.js";
import { t } from "./i18n.js";
import { keep, kept } from "./kept.js";

/** @param {boolean} across */
const shareOf = (across) => (across ? "--first-wide" : "--first");

export class SecondPane {
  /** Its name; "": there is none. */
  name = kept("staithe.second") ?? "";
  #host = /** @type {HTMLElement} */ ($("panes"));

  /** @param {HTMLElement} tabs @param {string[]} names of all panes @param {() => void} changed another pane is wanted, or none */
  constructor(tabs, names, changed) {
    if (!names.includes(this.name)) this.name = "";
    this.names = names;
    this.changed = changed;
    this.button = h("button", { type: "button", className: "pane-two", "aria-pressed": "false", "aria-label": t("pane.two"), title: t("pane.two"), on: { click: () => this.#turn() } }, h("span", { "aria-hidden": "true" }));
    const head = h("div", { className: "pane-head" });
    tabs.replaceWith(head);
    head.append(tabs, this.button);
    this.line = h("div", { className: "pane-line", hidden: true, "aria-label": t("pane.two_divider") });
    this.select = h("select", { "aria-label": t("pane.second"), on: { change: () => this.#choose() } }, ...names.map((name) => h("option", { value: name }, t(`pane.${name}`))));
    const close = h("button", { type: "button", className: "quiet", "aria-label": t("pane.two_close"), title: t("pane.two_close"), on: { click: () => this.#turn() } }, "✕");
    this.bar = h("div", { className: "pane-bar second-bar", role: "group", "aria-label": t("pane.second"), hidden: true }, this.select, h("span", { className: "grow" }), close);
    this.#host.append(this.line, this.bar);
    for (const across of [true, false]) this.#put(across, kept(`staithe.second${shareOf(across)}`) ?? "");
    this.divider = new Divider(this.line, {
      before: () => this.#host.querySelector(".pane:not([hidden], [data-second])"),
      after: () => this.#host.querySelector(".pane[data-second]:not([hidden])"),
      set: (percent, across) => this.#store(across, String(percent)),
      reset: (across) => this.#store(across, ""),
    });
  }

  /** @param {boolean} across @param {string} percent */
  #put(across, percent) {
    if (Number(percent)) this.#host.style.setProperty(shareOf(across), percent);
    else this.#host.style.removeProperty(shareOf(across));
  }

  /** @param {boolean} across @param {string} percent */
  #store(across, percent) {
    this.#put(across, percent);
    keep(`staithe.second${shareOf(across)}`, percent);
  }

  /** @param {string} name "": none */
  set(name) {
    this.name = name;
    keep("staithe.second", name);
  }

  #first() {
    return this.#host.querySelector(".pane:not([hidden], [data-second])")?.getAttribute("aria-labelledby")?.replace("tab-", "") ?? "files";
  }

  /** A second one, or none. */
  #turn() {
    this.set(this.name ? "" : this.#first() === "terminal" ? "files" : "terminal");
    this.changed();
    this.button.focus();
  }

  /** Another one; of the first one's, that is what its tab does. */
  #choose() {
    const { value } = this.select;
    if (value === this.#first()) return $(`tab-${this.name}`).click();
    this.set(value);
    this.changed();
  }

  /** @param {boolean} seen */
  show(seen) {
    this.#host.classList.toggle("two", seen);
    this.line.hidden = this.bar.hidden = !seen;
    this.button.setAttribute("aria-pressed", String(seen));
    if (!seen) return;
    this.select.value = this.name;
    this.divider.refresh();
  }
}
