// One cell: its code, what it prints as it comes, what came of it.

import { h } from "./dom.js";
import { clock, dateTime, parseTime, t, word } from "./i18n.js";
import { sessionPath } from "./api.js";
import { signButton } from "./pane-parts.js";
import { TermText, showOutput } from "./term.js";

/** Images that a cell may show: their bytes, and nothing from elsewhere. */
const IMAGE = /^data:image\/(png|jpeg|gif|webp|svg\+xml);base64,/;

export class CellView {
  /** Whether what came of it is known. */
  done = false;
  #end = 0;
  #badge = h("span", { className: "badge busy" }, t("event.running"));
  #out;
  #term;
  #shown = h("div", { className: "cell-shown" });
  #foot = h("p", { className: "small muted", hidden: true });

  /** @param {any} event the action @param {number} number @param {string} session @param {(code: string) => void} again */
  constructor(event, number, session, again) {
    this.event = event;
    this.session = session;
    const code = event.args?.code ?? "";
    const when = parseTime(event.timestamp ?? "");
    this.#out = h("pre", { className: "out", tabIndex: 0, "aria-label": t("cells.output", { number: String(number) }) });
    this.#term = new TermText(this.#out);
    const reuse = signButton("edit", t("cells.edit_named", { number: String(number) }), () => again(code));
    reuse.dataset.write = "";
    this.element = h("li", { className: "cell", data: { cell: String(event.id), state: "running" } },
      h("div", { className: "cell-head" }, h("span", { className: "cell-mark" }, `In [${number}]`), h("span", { className: "muted small" }, word("event", event.source ?? "user"), " · ", h("time", { title: dateTime(when) }, clock(when))), h("span", { className: "grow" }), this.#badge, reuse),
      h("pre", { className: "cell-code", tabIndex: 0, "aria-label": t("cells.code", { number: String(number) }) }, code),
      h("div", { className: "cell-out" }, h("span", { className: "cell-mark", "aria-hidden": "true" }, `Out [${number}]`), h("div", { className: "cell-body" }, this.#out, this.#shown, this.#foot)));
  }

  /** Output as it comes; a piece that was seen before a reconnect is not shown again. @param {any} frame */
  partial({ text, offset }) {
    if (this.done || offset < this.#end) return;
    this.#end = offset + new TextEncoder().encode(text).length;
    this.#term.push(text);
  }

  /** @param {any} event the observation */
  finish(event) {
    this.done = true;
    const { observation, content = "", extras = {} } = event;
    const bad = observation !== "run_ipython";
    const cut = showOutput(this.#out, content, t("event.middle_cut"));
    const images = (extras.image_urls ?? []).filter((/** @type {unknown} */ url) => IMAGE.test(String(url)));
    this.#shown.replaceChildren(...images.map((/** @type {string} */ src) => h("img", { src, alt: t("event.image") })));
    this.element.dataset.state = bad ? "error" : "done";
    this.#badge.className = `badge ${bad ? "fail" : "ok"}`;
    this.#badge.textContent = bad ? t(observation === "user_rejected" ? "talk.rejected" : "event.error") : "✓";
    const more = cut || (extras.total_bytes ?? 0) > new TextEncoder().encode(content).length + 2;
    const quiet = !bad && !content && images.length === 0;
    if (quiet) this.#foot.append(t("event.no_output"));
    if (more) this.#foot.append(h("a", { href: `${sessionPath(this.session)}/events/${this.event.id}/output`, target: "_blank", rel: "noopener" }, t("event.whole_output")));
    this.#foot.hidden = !quiet && !more;
  }

  /** The sandbox ended under it. */
  orphan() {
    this.done = true;
    this.element.dataset.state = "lost";
    this.#badge.className = "badge";
    this.#badge.textContent = t("event.no_result");
  }
}
