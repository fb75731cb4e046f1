// A terminal where the build has no emulator: its words without their places, and a line of input.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { TermText } from "./term.js";
import { copyChosen } from "./terminal-screen.js";

/** It can be used wherever a Screen can. */
export class PlainScreen {
  #decoder = new TextDecoder();
  /** Nothing is drawn on it. */
  draws = false;

  /** @param {import("./terminal-screen.js").Wants} wants */
  constructor(wants) {
    this.wants = wants;
    this.output = h("pre", { className: "term-plain", tabIndex: 0, role: "log", "aria-label": t("terminal.output") });
    this.text = new TermText(this.output);
    this.input = h("input", { className: "code", "aria-label": t("terminal.input_line"), placeholder: t("terminal.input_line"), autocomplete: "off", autocapitalize: "none", spellcheck: false, "aria-describedby": "term-hint" });
    this.send = h("button", { type: "submit" }, t("terminal.send"));
    this.stop = h("button", { type: "button", title: t("terminal.interrupt"), "aria-label": t("terminal.interrupt"), on: { click: () => this.#type("\x03") } }, "Ctrl+C");
    const form = h("form", { className: "term-line", on: { submit: (/** @type {Event} */ event) => this.#enter(event) } }, this.input, this.send, this.stop);
    this.element = h("div", { className: "term-screen plain" }, this.output, form);
    this.element.addEventListener("focusin", () => wants.focused());
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "F6" || !event.shiftKey) return;
      event.preventDefault();
      wants.leave();
    });
  }

  /** @param {Event} event */
  #enter(event) {
    event.preventDefault();
    if (this.input.readOnly) return;
    this.#type(`${this.input.value}\r`);
    this.input.value = "";
  }

  /** @param {string} text */
  #type(text) {
    this.wants.typed(new TextEncoder().encode(text));
  }

  show() {
    this.#toEnd();
  }

  /** Nothing is to be had back. */
  hide() {}
  recolour() {}
  setReader() {}
  hush() {}
  /** What doesn't draw has no size. */
  resize() {}

  /** @returns {import("./terminal-screen.js").Size | null} */
  fits() {
    return null;
  }

  /** @param {Uint8Array} bytes */
  write(bytes) {
    const { scrollTop, clientHeight, scrollHeight } = this.output;
    const atEnd = scrollTop + clientHeight > scrollHeight - 40;
    this.text.push(this.#decoder.decode(bytes, { stream: true }));
    if (atEnd) this.#toEnd();
  }

  #toEnd() {
    this.output.scrollTop = this.output.scrollHeight;
  }

  replay() {
    this.#decoder = new TextDecoder();
    this.text = new TermText(this.output);
  }

  /** @param {boolean} no */
  setReadOnly(no) {
    this.input.readOnly = no;
    this.send.disabled = this.stop.disabled = no;
  }

  focus() {
    this.input.focus();
  }

  async copy() {
    return copyChosen(String(getSelection()));
  }

  /** @param {string} text */
  paste(text) {
    this.input.setRangeText(text, this.input.selectionStart ?? 0, this.input.selectionEnd ?? 0, "end");
    this.focus();
  }

  dispose() {
    this.element.remove();
  }
}
