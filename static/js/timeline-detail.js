// One event of the timeline, whole.

import { kindOf } from "./event-words.js";
import { h } from "./dom.js";
import { dateTime, parseTime, t, word } from "./i18n.js";
import { copyText } from "./pane-parts.js";
import { linkTo, pretty } from "./places.js";

/** @typedef {{ go: (id: number) => void, talk: (id: number) => void, close: () => void }} Deeds */

export class Detail {
  #title = h("h2", {});
  #when = h("span", { className: "muted small" });
  #links = h("span", { className: "row" });
  #json = h("pre", { className: "tl-json", tabIndex: 0, "aria-label": t("timeline.json") });
  /** @type {any} */
  event = null;

  /** @param {Deeds} on `go`: to another event, `talk`: to this one in the conversation */
  constructor(on) {
    this.on = on;
    const button = (/** @type {string} */ key, /** @type {() => void} */ click) => h("button", { type: "button", on: { click } }, t(`timeline.${key}`));
    this.element = h("section", { className: "tl-detail", "aria-label": t("timeline.detail"), hidden: true },
      h("div", { className: "pane-bar" }, this.#title, this.#when, h("span", { className: "grow" }),
        h("button", { type: "button", className: "quiet", "aria-label": t("action.close"), title: t("action.close"), on: { click: () => on.close() } }, "✕")),
      h("div", { className: "pane-bar" },
        button("copy_json", () => copyText(JSON.stringify(this.event, null, 2))), button("copy_link", () => copyText(linkTo(this.event.id))),
        button("to_talk", () => on.talk(this.event.id)), this.#links),
      this.#json);
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      on.close();
    });
  }

  get open() {
    return !this.element.hidden;
  }

  /** @param {any} event @param {number | undefined} result the event that observed it */
  show(event, result) {
    this.element.hidden = false;
    if (this.event !== event) {
      this.#title.textContent = `#${event.id} ${kindOf(event)}`;
      this.#when.textContent = `${word("event", event.source ?? "environment")} · ${dateTime(parseTime(event.timestamp ?? ""))}`;
      this.#json.textContent = pretty(event);
      this.#json.scrollTop = 0;
    }
    this.event = event;
    const link = (/** @type {string} */ key, /** @type {number} */ id) => h("button", { type: "button", on: { click: () => this.on.go(id) } }, t(`timeline.${key}`, { id: `#${id}` }));
    this.#links.replaceChildren(...(typeof event.cause === "number" ? [link("cause", event.cause)] : []), ...(result === undefined ? [] : [link("result", result)]));
  }

  close() {
    this.element.hidden = true;
    this.event = null;
  }
}
