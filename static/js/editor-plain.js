// A text field as the surface of the editor, where this build has no library for it.

import { h } from "./dom.js";

/**
 * What text is edited in. Lines end as the text's own do only where `exact`; else with LF.
 * @typedef {object} Surface
 * @property {HTMLElement} element
 * @property {string} language as people call it; empty when none is known
 * @property {() => string} text
 * @property {(text: string) => void} setText in place: cursor and scroll stay
 * @property {(text: string) => void} append
 * @property {() => void} keep what is there now counts as saved
 * @property {() => boolean} changed since `keep`
 * @property {(line: number) => void} reveal puts the cursor there
 * @property {() => number} top the first line in sight
 * @property {(at: import("./editor-kept.js").At) => void} goTo puts cursor and scroll where they were
 * @property {() => void} focus
 * @property {(writable: boolean) => void} setWritable
 * @property {() => { line: number, column: number, selected: number }} place
 * @property {() => void} destroy
 *
 * @typedef {object} Options
 * @property {string} text
 * @property {string} name of the file
 * @property {string} label
 * @property {boolean} writable
 * @property {boolean} exact lines end in several ways, and are kept so
 * @property {() => void} edited
 * @property {() => void} moved
 */
/** @implements {Surface} */
export class PlainSurface {
  language = "";
  #saved = "";
  #leaveTab = false;
  #top = 1;

  /** @param {Options} options */
  constructor({ text, label, writable, edited, moved }) {
    const area = h("textarea", { className: "code plain-code", spellcheck: false, autocapitalize: "none", autocomplete: "off", wrap: "off", "aria-label": label, "aria-describedby": "editor-hint", value: text, readOnly: !writable });
    this.area = area;
    this.element = area;
    this.keep();
    area.setSelectionRange(0, 0);
    area.addEventListener("input", edited);
    area.addEventListener("selectionchange", moved);
    area.addEventListener("scroll", () => { // where it isn't shown it has no scroll
      if (area.clientHeight > 0) this.#top = 1 + Math.round(area.scrollTop / this.#lineHeight);
    }, { passive: true });
    area.addEventListener("keydown", (event) => this.#key(event));
    area.addEventListener("blur", () => { this.#leaveTab = false; });
  }

  text() {
    return this.area.value;
  }

  /** @param {string} text */
  setText(text) {
    const { selectionStart, selectionEnd, scrollTop, scrollLeft } = this.area;
    this.area.value = text;
    this.area.setSelectionRange(selectionStart, selectionEnd);
    this.area.scrollTop = scrollTop;
    this.area.scrollLeft = scrollLeft;
  }

  /** @param {string} text */
  append(text) {
    this.setText(this.area.value + text);
  }

  keep() {
    this.#saved = this.area.value;
  }

  changed() {
    return this.area.value !== this.#saved;
  }

  /** @param {number} line */
  reveal(line) {
    const lines = this.area.value.split("\n");
    const at = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    this.area.setSelectionRange(at, at);
    this.area.scrollTop = Math.max(0, (line - 1) * this.#lineHeight - this.area.clientHeight / 2);
  }

  get #lineHeight() {
    return parseFloat(getComputedStyle(this.area).lineHeight) || 18;
  }

  top() {
    return this.#top;
  }

  /** @param {import("./editor-kept.js").At} at */
  goTo({ line, column, top }) {
    const lines = this.area.value.split("\n");
    const row = Math.max(0, Math.min(line, lines.length) - 1);
    const start = lines.slice(0, row).reduce((sum, one) => sum + one.length + 1, 0);
    const place = start + Math.max(0, Math.min(column - 1, lines[row]?.length ?? 0));
    this.area.setSelectionRange(place, place);
    this.area.scrollTop = (top - 1) * this.#lineHeight;
  }

  focus() {
    this.area.focus();
  }

  /** @param {boolean} writable */
  setWritable(writable) {
    this.area.readOnly = !writable;
  }

  place() {
    const { value, selectionStart, selectionEnd } = this.area;
    const before = value.slice(0, selectionStart);
    const line = before.split("\n").length;
    return { line, column: selectionStart - before.lastIndexOf("\n"), selected: selectionEnd - selectionStart };
  }

  destroy() {
    this.area.remove();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape") {
      this.#leaveTab = true;
    } else if (event.key === "Tab" && !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey && !this.#leaveTab && !this.area.readOnly) {
      event.preventDefault();
      // insertText keeps the field's own undo
      if (document.execCommand("insertText", false, "\t")) return;
      this.area.setRangeText("\t", this.area.selectionStart, this.area.selectionEnd, "end");
      this.area.dispatchEvent(new Event("input"));
    } else if (event.key !== "Shift") {
      this.#leaveTab = false;
    }
  }
}
