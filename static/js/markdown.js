// A little Markdown as elements: what models write most. Text only ever becomes text, never markup.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { copyText } from "./pane-parts.js";

/** More than this is shown as it is: nobody reads it, and it would only cost time. */
const MOST = 200_000;
/** Code, strong, emphasis, links; in that order, so that nothing is looked for in code. */
const INLINE = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|(?<![\w*])\*([^*\s][^*\n]*)\*(?![\w*])|\[([^\]\n]+)\]\((https?:\/\/[^\s()]+)\)|(https?:\/\/[^\s<>()"'`]*[\w/])/g;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*(\S*)\s*$/;
const HEADING = /^(#{1,6})\s+(.+?)\s*#*$/;
const ITEM = /^( *)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const QUOTE = /^> ?(.*)$/;

/** @param {string} text @returns {(Node | string)[]} */
function inline(text) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    const [whole, code, strong, soft, label, target, bare] = found;
    parts.push(text.slice(at, found.index));
    if (code !== undefined) parts.push(h("code", {}, code));
    else if (strong !== undefined) parts.push(h("strong", {}, ...inline(strong)));
    else if (soft !== undefined) parts.push(h("em", {}, ...inline(soft)));
    else parts.push(h("a", { href: target ?? bare, target: "_blank", rel: "noopener noreferrer" }, label ?? bare ?? whole));
    at = found.index + whole.length;
  }
  parts.push(text.slice(at));
  return parts.filter((part) => part !== "");
}

/** Reads lines one block at a time. */
class Blocks {
  /** @type {HTMLElement[]} */
  made = [];
  #at = 0;

  /** @param {string[]} lines */
  constructor(lines) {
    this.lines = lines;
    while (this.#at < lines.length) this.#block();
  }

  get #line() {
    return this.lines[this.#at] ?? "";
  }

  #block() {
    const fence = FENCE.exec(this.#line);
    const heading = HEADING.exec(this.#line);
    if (!this.#line.trim()) this.#at += 1;
    else if (fence) this.#code(fence[1] ?? "```");
    else if (heading) {
      this.made.push(h("p", { className: "md-head" }, ...inline(heading[2] ?? "")));
      this.#at += 1;
    } else if (ITEM.test(this.#line)) this.#list();
    else if (QUOTE.test(this.#line)) this.#quote();
    else this.#paragraph();
  }

  /** @param {string} mark */
  #code(mark) {
    const lines = [];
    for (this.#at += 1; this.#at < this.lines.length; this.#at += 1) {
      const line = this.#line;
      if (line.trim().startsWith(mark) && line.trim().replaceAll(mark[0] ?? "`", "") === "") break;
      lines.push(line);
    }
    this.#at += 1;
    const text = lines.join("\n");
    const copy = h("button", { type: "button", className: "copy", on: { click: () => copyText(text) } }, t("event.copy"));
    this.made.push(h("div", { className: "md-block" }, h("pre", { className: "md-code", tabIndex: 0 }, text), copy));
  }

  /** Nested items are shown further in; that is enough of a tree. */
  #list() {
    const list = h(ITEM.exec(this.#line)?.[2] ? "ol" : "ul", {});
    const first = Number(ITEM.exec(this.#line)?.[2] ?? 1);
    if (list instanceof HTMLOListElement && first !== 1) list.start = first;
    /** @type {HTMLLIElement | undefined} */
    let item;
    for (; this.#at < this.lines.length; this.#at += 1) {
      const found = ITEM.exec(this.#line);
      if (found) {
        item = h("li", {}, ...inline(found[3] ?? ""));
        const deep = Math.min(4, Math.floor((found[1] ?? "").length / 2));
        if (deep) item.className = `md-deep-${deep}`;
        list.append(item);
      } else if (item && /^\s+\S/.test(this.#line) && !FENCE.test(this.#line)) item.append(" ", ...inline(this.#line.trim()));
      else break;
    }
    this.made.push(list);
  }

  #quote() {
    const lines = [];
    for (let found; (found = QUOTE.exec(this.#line)); this.#at += 1) lines.push(found[1] ?? "");
    this.made.push(h("blockquote", {}, ...inline(lines.join("\n"))));
  }

  #paragraph() {
    const lines = [];
    do {
      lines.push(this.#line);
      this.#at += 1;
    } while (this.#at < this.lines.length && this.#line.trim() && ![FENCE, HEADING, ITEM, QUOTE].some((is) => is.test(this.#line)));
    this.made.push(h("p", {}, ...inline(lines.join("\n"))));
  }
}

/** @param {string} text @param {string} [className] */
export function markdown(text, className = "md") {
  if (text.length > MOST) return h("div", { className: `${className} plain` }, text);
  return h("div", { className }, ...new Blocks(text.replaceAll("\r\n", "\n").split("\n")).made);
}
