// What the agent is about to say, as it comes: void as soon as the log has the agent's next event, or its state.

import { $, h, setText } from "./dom.js";
import { t, word } from "./i18n.js";
import { markdown } from "./markdown.js";

/** Characters that are kept of a text that is still coming. */
const MOST = 100_000;
/** Up to so many it is set anew with each frame; a longer one is shown as it is until its event is there. */
const SET = 20_000;
const encoder = new TextEncoder();

/** One kind of an answer's pieces, put together by where they begin, in bytes. */
export class Pieces {
  text = "";
  #end = 0;

  /** @param {{ text: string, offset: number }} piece @returns {string} what of it is new */
  take({ text, offset }) {
    const bytes = encoder.encode(text);
    let fresh = text;
    if (offset + bytes.length <= this.#end) fresh = "";
    else if (offset < this.#end) fresh = new TextDecoder().decode(bytes.slice(this.#end - offset));
    else if (offset > this.#end) fresh = `…${text}`;
    this.#end = Math.max(this.#end, offset + bytes.length);
    this.text = (this.text + fresh).slice(-MOST);
    return fresh;
  }
}

/** Whether an event makes what was streamed void. @param {any} event */
export function voids({ source, action, observation }) {
  if (observation === "agent_state_changed" || observation === "model_retry") return true;
  if (source === "agent") return !(observation && observation !== "error");
  return source === "environment" && (observation === "error" || action === "message");
}

/** The card under the conversation. */
export class Live {
  #waits = false;
  #dirty = false;
  /** The newest event that made an answer void, and the event up to which the one that comes was asked. */
  #voidAt = -1;
  /** @type {number | null} */
  #cause = null;
  #answer = new Pieces();
  #reasoning = new Pieces();
  /** Tools by the number of the frame that named them. @type {Map<number, string>} */
  #calls = new Map();
  #list = /** @type {HTMLElement} */ ($("live"));
  #words = h("div", { className: "body live-text" });
  #thoughts = h("pre", { className: "live-thoughts", tabIndex: 0 });
  #folded = h("details", { className: "reasoning", hidden: true }, h("summary", {}, t("live.reasoning")), this.#thoughts);
  #tools = h("div", { className: "small muted", hidden: true });
  #title = h("strong", {}, t("live.thinking"));
  #card = h("li", { className: "msg agent live", hidden: true }, h("div", { className: "line" }, h("span", { className: "pulse", "aria-hidden": "true" }), this.#title), this.#folded, this.#words, this.#tools);

  constructor() {
    this.#list.append(this.#card);
  }

  /** @param {any} event each, in order */
  take(event) {
    if (!voids(event)) return;
    this.#voidAt = event.id;
    this.#waits = event.observation === "model_retry";
    this.#clear();
  }

  /** Shows what came since; once a frame. @param {string} state the agent's @param {boolean} busy whether an action of its is under way */
  show(state, busy) {
    const has = this.#answer.text !== "" || this.#reasoning.text !== "" || this.#calls.size > 0;
    this.#card.hidden = !has && (state !== "running" || busy || this.#waits);
    if (this.#card.hidden || !this.#dirty) return;
    this.#dirty = false;
    setText(this.#title, t(this.#answer.text ? "live.answering" : "live.thinking"));
    const { text } = this.#answer;
    this.#words.classList.toggle("plain", text.length > SET);
    if (text.length > SET) setText(this.#words, text);
    else this.#words.replaceChildren(markdown(text));
    setText(this.#thoughts, this.#reasoning.text);
    this.#folded.hidden = !this.#reasoning.text;
    const tools = [...this.#calls.values()].map((tool) => word("tool", tool)).join(", ");
    setText(this.#tools, tools && t("live.calls", { tools }));
    this.#tools.hidden = !tools;
  }

  /** @param {any} frame */
  partial({ kind, text, offset, cause, seq }) {
    const about = cause ?? -1;
    if (about < this.#voidAt) return; // late: its event is there
    if (about !== this.#cause) this.#clear();
    this.#cause = about;
    this.#waits = false;
    this.#dirty = true;
    if (kind === "answer") this.#answer.take({ text, offset });
    else if (kind === "reasoning") this.#reasoning.take({ text, offset });
    else if (kind === "call" && this.#calls.size < 32) this.#calls.set(seq, text);
  }

  #clear() {
    this.#cause = null;
    this.#answer = new Pieces();
    this.#reasoning = new Pieces();
    this.#calls.clear();
    this.#dirty = true;
    this.#folded.open = false;
  }
}
