// The sandbox's own log: its last lines, as they come.

import { get, sessionPath } from "../api.js";
import { h, setText, sheet } from "../dom.js";
import { t } from "../i18n.js";
import { logLine, logText, matching } from "../log-lines.js";
import { Ticker, Turns, copyText, empty, failure, resting, signButton } from "../pane-parts.js";

const EVERY = 2000;
const TAILS = [200, 500, 1000];
const OPERATOR = document.documentElement.dataset.operator === "yes";

/** @param {string} label @param {boolean} checked @param {() => void} change */
function check(label, checked, change) {
  const box = h("input", { type: "checkbox", checked, on: { change } });
  return { box, label: h("label", { className: "check" }, box, label) };
}

class Log {
  /** @type {import("../log-lines.js").LogLine[]} */
  #lines = [];
  /** Where the log may be had: by the address for the session's users, else, for operators, by theirs. @type {string[]} */
  #addresses = [];
  /** Whether lines were had at all. */
  #had = false;
  #visible = false;
  #turns = new Turns(() => this.#load(), 0);
  #ticker = new Ticker(() => this.#turns.want(), EVERY);
  #find = h("input", { type: "search", "aria-label": t("log.filter"), placeholder: t("log.filter"), on: { input: () => this.#draw() } });
  #tail = h("select", { "aria-label": t("log.tail"), on: { change: () => this.#turns.want() } }, ...TAILS.map((n) => h("option", { value: String(n) }, t("log.last", { count: n }))));
  #times = check(t("log.times"), true, () => this.#draw());
  #wrap = check(t("log.wrap"), true, () => this.#draw());
  #follow = check(t("log.follow"), true, () => this.#pace());
  #count = h("span", { className: "small muted" });
  #text = h("pre", { className: "log-text", tabIndex: 0, role: "log", "aria-live": "off", "aria-label": t("pane.log") });
  #bar = h("div", { className: "pane-bar" }, this.#find, this.#tail, this.#times.label, this.#wrap.label, this.#follow.label, this.#count, h("span", { className: "grow" }),
    h("span", { className: "row tools" }, signButton("reload", t("files.refresh"), () => this.#turns.want()), signButton("copy", t("log.copy"), () => copyText(this.#shown())), signButton("download", t("log.download"), () => this.#download())));
  #note = h("div", { className: "log-note", hidden: true });

  /** @param {HTMLElement} host @param {import("../panes.js").Context} context */
  constructor(host, context) {
    this.context = context;
    host.append(this.#bar, this.#note, this.#text);
    this.#say(empty(t("files.loading")));
  }

  joined() {
    const own = sessionPath(this.context.id);
    this.#addresses = [...(this.context.canWrite() ? [own] : []), ...(OPERATOR ? [own.replace("/api/", "/api/admin/")] : [])];
    this.#pace();
    this.#turns.want();
  }

  changed() {
    this.#pace();
    this.#turns.want();
  }

  shown() {
    this.#visible = true;
    this.#pace();
    this.#turns.want();
  }

  hidden() {
    this.#visible = false;
    this.#pace();
  }

  #pace() {
    this.#ticker.set(this.#visible && this.#follow.box.checked && this.context.phase().phase === "ready");
    if (this.#follow.box.checked) this.#toEnd();
  }

  /** Lines of this session; null where they are not given out. @returns {Promise<string[] | null>} */
  async #ask() {
    for (;;) {
      const [address] = this.#addresses;
      if (!address) return null;
      try {
        return (await get(`${address}/log?tail=${this.#tail.value}`)).lines;
      } catch (error) {
        const { status } = /** @type {any} */ (error);
        if (status !== 404 && status !== 403) throw error;
        this.#addresses.shift(); // not asked again and again
      }
    }
  }

  async #load() {
    if (!this.#visible) return;
    const rest = resting(this.context);
    if (rest) {
      if (this.#had) this.#draw(); // the last that was seen stays
      else this.#say(rest);
      return;
    }
    try {
      const lines = await this.#ask();
      if (!lines) return this.#say(empty(t("log.not_yours"), h("p", {}, t("log.not_yours_how"))));
      this.#lines = lines.map(logLine);
      this.#had = true;
      this.#draw();
    } catch (error) {
      this.#say(failure(error, () => this.#turns.want()), this.#had);
    }
  }

  #draw() {
    if (!this.#had) return;
    const found = matching(this.#lines, this.#find.value);
    const dated = this.#lines.some(({ time }) => time);
    this.#times.label.hidden = !dated;
    this.#text.classList.toggle("wrap", this.#wrap.box.checked);
    setText(this.#count, found.length === this.#lines.length ? t("log.count", { count: found.length }) : t("log.count_of", { found: found.length, count: this.#lines.length }));
    if (this.#lines.length === 0) return this.#say(empty(t("log.empty")));
    this.#say(found.length === 0 ? empty(t("log.nothing_found")) : null, found.length > 0);
    const text = logText(found, this.#times.box.checked);
    if (this.#text.textContent === text || this.#isSelecting()) return;
    this.#text.textContent = text;
    if (this.#follow.box.checked) this.#toEnd();
  }

  /** Whether somebody marks text in it, which new text would undo. */
  #isSelecting() {
    const selection = getSelection();
    return selection !== null && !selection.isCollapsed && this.#text.contains(selection.anchorNode);
  }

  #toEnd() {
    this.#text.scrollTop = this.#text.scrollHeight;
  }

  #shown() {
    return logText(matching(this.#lines, this.#find.value), this.#times.box.checked);
  }

  #download() {
    const href = URL.createObjectURL(new Blob([`${this.#shown()}\n`], { type: "text/plain" }));
    h("a", { href, download: `${this.context.id}.log` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  }

  /** @param {HTMLElement | null} note @param {boolean} [beside] whether the text stays to be seen */
  #say(note, beside = false) {
    this.#note.hidden = note === null;
    if (note && this.#note.textContent !== note.textContent) this.#note.replaceChildren(note);
    this.#text.hidden = !beside;
    this.#bar.hidden = !this.#had;
  }
}

/** @param {HTMLElement} host @param {import("../panes.js").Context} context */
export default async function open(host, context) {
  await Promise.all([sheet("css/parts.css"), sheet("css/cells.css")]);
  return new Log(host, context);
}
