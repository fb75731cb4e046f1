// A server that doesn't answer: it is said at the top, since when; what is shown counts as old, and nothing that needs a server can be pressed.

import { call } from "./api.js";
import { $, h, setText } from "./dom.js";
import { clock, t } from "./i18n.js";

/** Between two questions while it answers, and while it doesn't, in milliseconds. */
const EVERY = 3000;
const AGAIN = 2000;
/** An answer that takes longer counts as none. */
const PATIENCE = 4000;
/** What needs a server. */
const NEEDS = "#reconcile, #drain, .does button, #bulk button, .drawer-does button";

export class Silence {
  /** Whether the server is silent. */
  is = false;
  #heard = new Date();
  #words = h("span");
  #alert = h("p", { id: "silence", className: "alert bad silence", role: "alert", hidden: true }, this.#words);
  /** What was enabled before. @type {Set<HTMLButtonElement>} */
  #held = new Set();
  #page = /** @type {HTMLElement} */ (document.querySelector("main"));

  /** @param {() => void} back it answers again */
  constructor(back) {
    this.back = back;
    this.#page.prepend(this.#alert);
    document.addEventListener("visibilitychange", () => document.hidden || this.#heardLately() || this.#ask());
    this.#later();
  }

  /** A page that was hidden hasn't asked: it isn't the server that was silent. */
  #heardLately() {
    if (!this.is) this.#heard = new Date();
    return !this.is;
  }

  #later() {
    setTimeout(async () => {
      if (!document.hidden) await this.#ask();
      this.#later();
    }, this.is ? AGAIN : EVERY);
  }

  async #ask() {
    try {
      await call("GET", "/health", { signal: AbortSignal.timeout(PATIENCE) });
      this.#answers();
    } catch (error) {
      // A refusal is an answer too.
      if (/** @type {{ status?: number }} */ (error).status) this.#answers();
      else this.#silent();
    }
  }

  #answers() {
    this.#heard = new Date();
    if (!this.is) return;
    this.is = false;
    this.#show();
    for (const button of this.#held) button.disabled = false;
    this.#held.clear();
    this.back();
  }

  #silent() {
    this.is = true;
    this.#show();
    setText($("health"), t("admin.silent_badge"));
    $("health").className = "badge fail";
    // At each time, as a question's end may have enabled its button.
    for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll(NEEDS))) {
      if (button.disabled) continue;
      button.disabled = true;
      this.#held.add(button);
    }
  }

  #show() {
    setText(this.#words, this.is ? t("admin.silent", { time: clock(this.#heard) }) : "");
    this.#alert.hidden = !this.is;
    this.#page.classList.toggle("silent", this.is);
  }
}
