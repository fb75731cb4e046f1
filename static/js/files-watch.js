// The watch that tells of changed files: begun again on each connection, where it was. Where it can't be had, the pane says so.

import { announce, h, setText } from "./dom.js";
import { said, t } from "./i18n.js";
import { Refused } from "./socket.js";

/** Seconds to the next attempt where the server names none. */
const LATER = 5;

export class Watch {
  /** The last changes that were told. @type {{ epoch?: string, seq?: number }} */
  #cursor = {};
  /** The newest attempt counts. */
  #attempts = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #words = h("span", {});
  #again = h("button", { type: "button", on: { click: () => this.begin() } }, t("files.again"));
  /** What the pane says where changes are not told, or not all. */
  element = h("div", { className: "banner warn unwatched", id: "files-unwatched" }, this.#words, this.#again);

  /** @param {import("./socket.js").SessionSocket} socket */
  constructor(socket) {
    this.socket = socket;
    this.#say("");
  }

  /** After each hello, and where somebody asks for it. */
  async begin() {
    clearTimeout(this.#timer);
    this.#attempts += 1;
    const mine = this.#attempts;
    try {
      await this.socket.ask({ type: "watch", ...this.#cursor });
      if (mine === this.#attempts) this.#say("");
    } catch (error) {
      if (mine !== this.#attempts) return;
      const answer = error instanceof Refused ? error.answer : {};
      if (answer.code === "connection_lost") return; // the next hello begins it
      this.#say(t("files.unwatched", { reason: said(answer.reason ?? "") || String(error), code: answer.code ?? "" }), true);
      if (answer.type === "unavailable") this.#timer = setTimeout(() => this.begin(), 1000 * (answer.retry_after || LATER));
    }
  }

  /** @param {any} frame */
  told({ epoch, seq, limited }) {
    this.#cursor = { epoch, seq };
    this.#say(limited ? t("files.watch_limited") : "");
  }

  /** @param {string} text @param {boolean} [again] whether it helps to try */
  #say(text, again = false) {
    const focused = this.element.contains(document.activeElement);
    if (text && text !== this.#words.textContent) announce(text);
    setText(this.#words, text);
    this.#again.hidden = !again;
    this.element.hidden = !text;
    if (focused && !again) document.getElementById("refresh")?.focus();
  }
}
