// A small bar that searches a terminal's words, those above its screen, too.

import { h, setText } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {import("./terminal-screen.js").Screen} Screen */

export class FindBar {
  /** @type {Screen | null} */
  #screen = null;
  /** @type {{ dispose: () => void } | null} */
  #heard = null;

  constructor() {
    this.input = h("input", { type: "search", "aria-label": t("terminal.find_what"), placeholder: t("terminal.find_what"), autocomplete: "off", spellcheck: false });
    this.cased = h("input", { type: "checkbox" });
    this.count = h("span", { className: "muted small", role: "status" });
    const button = (/** @type {string} */ sign, /** @type {string} */ label, /** @type {() => void} */ click) => h("button", { type: "button", title: label, "aria-label": label, on: { click } }, sign);
    this.element = h("div", { className: "pane-bar term-find", role: "search", "aria-label": t("terminal.find"), hidden: true }, this.input, h("label", { className: "check" }, this.cased, t("terminal.find_case")),
      button("↑", t("terminal.find_previous"), () => this.#find(false)), button("↓", t("terminal.find_next"), () => this.#find(true)), this.count, button("✕", t("terminal.find_close"), () => this.close()));
    this.input.addEventListener("input", () => this.#find(true, true));
    this.cased.addEventListener("change", () => this.#find(true, true));
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Screen} screen */
  open(screen) {
    this.follow(screen);
    this.element.hidden = false;
    const chosen = screen.term.getSelection();
    if (chosen && !chosen.includes("\n")) this.input.value = chosen;
    this.input.focus();
    this.input.select();
    this.#find(true, true);
  }

  /** Searches another one from now on. @param {Screen | null} screen */
  follow(screen) {
    if (screen === this.#screen) return;
    this.#screen?.search.clearDecorations();
    this.#heard?.dispose();
    this.#screen = screen;
    this.#heard = screen?.search.onDidChangeResults((/** @type {any} */ found) => this.#say(found)) ?? null;
    if (!this.element.hidden) this.#find(true, true);
  }

  close() {
    this.element.hidden = true;
    this.#screen?.search.clearDecorations();
    this.#screen?.focus();
  }

  /** Its terminal goes away. @param {unknown} screen */
  leave(screen) {
    if (screen !== this.#screen) return;
    this.element.hidden = true;
    this.follow(null);
  }

  /** @param {boolean} on forward @param {boolean} [incremental] */
  #find(on, incremental = false) {
    const screen = this.#screen;
    if (!screen) return;
    const how = { caseSensitive: this.cased.checked, incremental, decorations: screen.marks };
    if (!this.input.value) {
      screen.search.clearDecorations();
      setText(this.count, "");
    } else if (on) screen.search.findNext(this.input.value, how);
    else screen.search.findPrevious(this.input.value, how);
  }

  /** @param {{ resultIndex: number, resultCount: number }} found */
  #say({ resultIndex, resultCount }) {
    const many = resultIndex < 0 && resultCount > 0; // more than it counts
    setText(this.count, !this.input.value ? "" : resultCount === 0 ? t("terminal.find_none") : many ? t("terminal.find_many", { count: resultCount }) : t("terminal.find_place", { place: resultIndex + 1, count: resultCount }));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && event.target === this.input) this.#find(!event.shiftKey);
    else return;
    event.preventDefault();
  }
}
