// The pane of terminals: those of the sandbox under tabs, some of them side by side, and what is done with them.

import { post, sessionPath } from "./api.js";
import { ask, complain, confirmLoss, notice } from "./dialog.js";
import { h, setText } from "./dom.js";
import { t, word } from "./i18n.js";
import { whenRecoloured } from "./terminal-colours.js";
import { FindBar } from "./terminal-find.js";
import { whyNot } from "./terminal-line.js";
import { PlainScreen } from "./terminal-plain.js";
import { Screen } from "./terminal-screen.js";
import { Splits } from "./terminal-splits.js";
import { Tab } from "./terminal-tab.js";
import { Tools } from "./terminal-tools.js";

/** Side by side at once. */
const MOST = 4;
/** Between two sizes while a divider is moved, in milliseconds. */
const SIZES = 80;

/** @param {string} key @param {string} [value] @param {Storage} [storage] */
function remember(key, value, storage = localStorage) {
  try {
    if (value === undefined) return storage.getItem(key);
    storage.setItem(key, value);
  } catch { /* forbidden: it is forgotten with the page */ }
  return null;
}

/** @typedef {import("./terminal-line.js").Info} Info */

export class TerminalPane {
  /** @type {Tab[]} */
  #tabs = [];
  /** Those that are seen, from left to right. @type {Tab[]} */
  #shown = [];
  /** @type {Tab | null} */
  #active = null;
  /** Terminals that this page ends: they are forgotten once they have. @type {Set<string>} */
  #closing = new Set();
  /** Who waits for the sandbox. @type {{ resolve: () => void, reject: (why: Error) => void }[]} */
  #waiting = [];
  /** How this page stood before it was loaded again. @type {{ shown?: number[], grows?: number[], active?: number, closing?: string[] }} */
  #remembered = {};
  #listed = false;
  #listing = false;
  #failure = "";
  #sizes = new ResizeObserver(() => this.#resized());
  #reader = remember("staithe.terminal.reader") === "on";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #sizing;

  /** @param {HTMLElement} host @param {import("./panes.js").Context} context @param {any} emulator xterm.js, or null */
  constructor(host, context, emulator) {
    this.context = context;
    this.#remembered = JSON.parse(remember(this.#storageKey, undefined, sessionStorage) ?? "{}");
    this.#closing = new Set(this.#remembered.closing);
    this.emulator = emulator;
    this.find = new FindBar();
    this.tools = new Tools((act) => this.#act(act), (on) => this.#setReader(on), () => this.#active, this.#reader);
    this.list = h("div", { className: "term-tabs", role: "tablist", "aria-label": t("terminal.tabs"), "aria-multiselectable": "true" });
    this.list.addEventListener("keydown", (event) => this.#key(event));
    this.fresh = h("button", { type: "button", title: t("terminal.new_title"), on: { click: () => this.open() } }, t("terminal.new"));
    this.split = h("button", { type: "button", title: t("terminal.split_title"), on: { click: () => this.open(true) } }, t("terminal.split"));
    this.alone = h("button", { type: "button", title: t("terminal.alone_title"), on: { click: () => this.#alone() } }, t("terminal.alone"));
    this.asleep = h("div", { className: "banner term-asleep", hidden: true });
    this.panels = h("div", { className: "term-panels" });
    this.splits = new Splits(this.panels, MOST, () => this.#shown, () => this.#keep());
    this.empty = h("div", { className: "empty" });
    this.hint = h("p", { id: "term-hint", className: "help term-hint" }, t(emulator ? "terminal.hint" : "terminal.hint_plain"));
    host.append(h("div", { className: "pane-bar term-top" }, this.list, this.fresh, this.split, this.alone), this.tools.element, this.find.element, this.asleep, this.empty, this.panels, this.tools.keys, this.hint);
    whenRecoloured(() => this.#tabs.forEach((tab) => tab.screen.recolour()));
    addEventListener("focus", () => this.#look()); // others may have opened some
    this.#render();
  }

  // What the page tells.

  joined() {
    for (const tab of this.#tabs) tab.line.cut();
    this.#render();
    this.#look();
  }

  changed() {
    const { phase } = this.context.phase();
    const ready = phase === "ready";
    if (ready) for (const { resolve } of this.#waiting.splice(0)) resolve();
    else if (phase === "failed" || phase === "stopped") for (const { reject } of this.#waiting.splice(0)) reject(new Error(word("phase", phase)));
    for (const tab of this.#tabs) tab.refresh();
    this.#render();
    if (ready) this.#look();
  }

  shown() {
    for (const tab of this.#shown) tab.screen.show();
    this.#resized();
    this.#look();
  }

  hidden() {
    for (const tab of this.#shown) tab.screen.hide();
  }

  /** @param {any} frame */
  frame(frame) {
    if (frame.type !== "terminal") return;
    const tab = this.#of(frame.terminal);
    tab?.line.hear(frame);
    if (frame.event === "exit" && !tab) this.#forget(frame.terminal); // this page has closed it
  }

  /** @param {ArrayBuffer} bytes */
  binary(bytes) {
    const view = new DataView(bytes);
    this.#of(view.getUint32(0))?.line.output(new DataView(bytes, 4));
  }

  // Which there are.

  /** @param {number} id */
  #of(id) {
    return this.#tabs.find(({ line }) => line.id === id && !line.over);
  }

  /** Asks which terminals there are, and follows those that are seen. */
  async #look() {
    if (this.#listing || this.context.phase().phase !== "ready" || !this.context.socket.live) return;
    this.#listing = true;
    await null; // not within the hello: what is asked there is sent a second time with all that waits
    try {
      const { terminals } = await this.context.socket.ask({ type: "terminal.list" });
      this.#failure = "";
      this.#take(terminals);
    } catch (error) {
      this.#failure = whyNot(error);
    } finally {
      this.#listing = false;
    }
    this.#render();
  }

  /** @param {Info[]} list */
  #take(list) {
    const same = (/** @type {Tab} */ { line }, /** @type {Info} */ info) => line.info?.id === info.id && line.info.epoch === info.epoch;
    for (const tab of [...this.#tabs]) {
      const info = list.find((one) => same(tab, one));
      if (info) tab.line.told(info);
      else if (tab.line.info && !tab.line.over) tab.line.lost();
      if (!info && tab.line.over && !this.#shown.includes(tab)) this.#remove(tab);
    }
    for (const info of list) {
      if (this.#closing.has(`${info.epoch} ${info.id}`)) {
        if (info.exit) this.#forget(info.id);
      } else if (!this.#tabs.some((tab) => same(tab, info))) this.#add(info);
    }
    if (!this.#listed) this.#restore();
    this.#listed = true;
    if (this.#shown.length === 0 && this.#tabs[0]) this.#choose(this.#tabs[0]);
    for (const tab of this.#shown) tab.line.follow();
  }

  /** Those of another epoch are gone; their numbers come again. @param {string} epoch */
  #outlive(epoch) {
    for (const { line } of this.#tabs) if (line.info && line.info.epoch !== epoch && !line.over) line.lost();
  }

  /** As they stood before a reload. */
  #restore() {
    const { shown = [], grows = [], active = 0 } = this.#remembered;
    const find = (/** @type {number} */ id) => this.#tabs.find(({ line }) => line.id === id);
    this.#shown = shown.flatMap((id) => find(id) ?? []);
    if (this.#shown.length === grows.length) this.#shown.forEach((tab, at) => tab.setGrow(grows[at] ?? 1));
    this.#active = find(active) ?? this.#shown[0] ?? null;
    this.#place();
  }

  /** @param {Info | null} info null: a new one, of this page's */
  #add(info) {
    /** @type {Tab} */
    const tab = new Tab(this.context.socket, this.context.canWrite, {
      choose: () => this.#choose(tab),
      rename: () => this.#rename(tab),
      close: () => this.close(tab),
      again: () => this.open(false, tab),
      tell: (work) => work.catch((error) => notice(whyNot(error), true)),
      changed: () => this.#render(),
    }, (wants) => (this.emulator ? new Screen(this.emulator, wants, { reader: this.#reader, used: info === null }) : new PlainScreen(wants)), {
      leave: () => tab.button.focus(),
      find: () => tab.screen instanceof Screen && this.find.open(tab.screen),
    });
    tab.button.addEventListener("click", (event) => this.#clicked(tab, event));
    if (info) tab.line.told(info);
    this.#tabs.push(tab);
    this.list.append(tab.button);
    this.panels.append(tab.panel);
    this.#sizes.observe(tab.screen.element);
    return tab;
  }

  /** @param {Tab} tab */
  #remove(tab) {
    this.#tabs = this.#tabs.filter((one) => one !== tab);
    const at = this.#shown.indexOf(tab);
    this.#shown = this.#shown.filter((one) => one !== tab);
    this.find.leave(tab.screen);
    this.#sizes.unobserve(tab.screen.element);
    tab.dispose();
    if (this.#active === tab) this.#active = this.#shown[Math.max(0, at - 1)] ?? null;
    const next = this.#tabs.at(-1);
    if (!this.#active && next) this.#choose(next);
    this.#place();
  }

  // Which are seen.

  /** Shows one where the active one is. @param {Tab} tab */
  #choose(tab) {
    if (tab === this.#active && this.#shown.includes(tab)) return;
    if (!this.#shown.includes(tab)) {
      const at = this.#active ? this.#shown.indexOf(this.#active) : -1;
      this.#shown.splice(Math.max(0, at), at < 0 ? 0 : 1, tab);
    }
    this.#active = tab;
    this.#place();
  }

  /** @param {Tab} tab @param {MouseEvent} event */
  #clicked(tab, event) {
    if (event.ctrlKey || event.metaKey) this.#toggle(tab);
    else tab.screen.focus();
  }

  /** One more beside the others, or one less. @param {Tab} tab */
  #toggle(tab) {
    if (!this.#shown.includes(tab) && this.#shown.length < MOST) this.#shown.push(tab);
    else if (this.#shown.length > 1) this.#shown = this.#shown.filter((one) => one !== tab);
    this.#active = this.#shown.includes(tab) ? tab : this.#shown[0] ?? null;
    this.#place();
  }

  #alone() {
    this.#shown = this.#shown.filter((tab) => tab === this.#active);
    this.#place();
    this.#active?.screen.focus();
  }

  #place() {
    this.#tabs.forEach((tab) => tab.place(this.#shown.includes(tab), tab === this.#active, this.#shown.indexOf(tab)));
    for (const { button } of this.#tabs) button.tabIndex = -1;
    const first = this.#active ?? this.#tabs[0];
    if (first) first.button.tabIndex = 0;
    this.#active?.button.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.panels.classList.toggle("many", this.#shown.length > 1);
    this.splits.place();
    for (const tab of this.#shown) {
      tab.line.follow();
      tab.line.fit();
    }
    if (this.#active?.screen instanceof Screen) this.find.follow(this.#active.screen);
    if (this.#listed) this.#keep();
    this.#render();
  }

  get #storageKey() {
    return `staithe.terminals.${this.context.id}`;
  }

  #keep() {
    const lasting = this.#shown.filter(({ line }) => line.id);
    remember(this.#storageKey, JSON.stringify({ shown: lasting.map(({ line }) => line.id), grows: lasting.map(({ grow }) => grow), active: this.#active?.line.id ?? 0, closing: [...this.#closing] }), sessionStorage);
  }

  #resized() {
    this.#sizing ??= setTimeout(() => {
      this.#sizing = undefined;
      for (const tab of this.#shown) tab.line.fit();
    }, SIZES);
  }

  // What is done with them.

  /** Opens a new one. @param {boolean} [beside] @param {Tab} [instead] one that has ended */
  async open(beside = false, instead) {
    try {
      await this.#awake();
    } catch (error) {
      return complain(error);
    }
    const before = this.#active;
    const tab = this.#add(null);
    if (beside) this.#toggle(tab);
    else if (instead) this.#instead(tab, instead);
    else this.#choose(tab);
    try {
      await tab.line.open();
      this.#outlive(tab.line.info?.epoch ?? "");
      this.#place();
      tab.screen.focus();
    } catch (error) {
      this.#remove(tab);
      if (before && this.#tabs.includes(before)) this.#choose(before);
      notice(whyNot(error), true);
    }
  }

  /** @param {Tab} tab @param {Tab} old */
  #instead(tab, old) {
    this.#choose(old);
    this.#choose(tab);
    this.close(old);
  }

  /** The sandbox, woken where it sleeps. */
  async #awake() {
    const { phase } = this.context.phase();
    if (phase === "ready") return;
    const coming = new Promise((/** @type {(value?: any) => void} */ resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.#render();
    if (["suspended", "stopped", "failed"].includes(phase)) {
      try {
        await post(`${sessionPath(this.context.id)}/start`);
      } catch (error) {
        for (const { reject } of this.#waiting.splice(0)) reject(/** @type {Error} */ (error));
        this.#render();
      }
    }
    await coming;
  }

  /** Ends its program, if a person agrees, and takes it away. @param {Tab} tab */
  async close(tab) {
    const { line } = tab;
    const write = this.context.canWrite();
    if (!line.over && (!write || !(await confirmLoss(t("terminal.close_ask", { name: tab.label }), [t("terminal.close_text")], t("terminal.close_yes"))))) return;
    const { info, state } = line;
    this.#remove(tab);
    (this.#active?.screen ?? this.fresh).focus();
    if (!info || !write || state === "gone") return;
    if (state !== "ended") this.#closing.add(`${info.epoch} ${info.id}`);
    this.#keep();
    this.#forget(info.id);
  }

  /** Ends one; one that has ended is forgotten by this. @param {number} id */
  #forget(id) {
    if (this.context.canWrite()) this.context.socket.ask({ type: "terminal.close", terminal: id }).catch(() => {}); // it may be forgotten already
  }

  /** @param {Tab} tab */
  async #rename(tab) {
    if (!this.context.canWrite() || !tab.line.info) return;
    const name = await ask(t("terminal.rename_title"), t("terminal.name"), tab.line.info.name);
    if (!name || name === tab.line.info.name) return;
    try {
      await this.context.socket.ask({ type: "terminal.rename", terminal: tab.line.id, name });
    } catch (error) {
      notice(whyNot(error), true);
    }
  }

  /** @param {boolean} on */
  #setReader(on) {
    this.#reader = on;
    remember("staithe.terminal.reader", on ? "on" : "off");
    for (const tab of this.#tabs) tab.screen.setReader(on);
  }

  /** @param {import("./terminal-tools.js").Act} act */
  async #act(act) {
    const tab = this.#active;
    if (!tab) return;
    if (act === "find" && tab.screen instanceof Screen) this.find.open(tab.screen);
    else if (act === "copy") {
      await tab.screen.copy();
      tab.screen.focus();
    } else if (act === "paste") navigator.clipboard.readText().then((text) => tab.screen.paste(text), () => notice(t("terminal.paste_forbidden"), true));
    else if (act === "rename") this.#rename(tab);
    else if (act === "drive") tab.wish.tell(tab.line.drive(true));
    else if (act === "close") this.close(tab);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const at = this.#tabs.findIndex(({ button }) => button === event.target);
    const tab = this.#tabs[at];
    if (!tab) return;
    const { length } = this.#tabs;
    const to = { ArrowRight: (at + 1) % length, ArrowLeft: (at + length - 1) % length, Home: 0, End: length - 1 }[event.key];
    if (to !== undefined) {
      const next = /** @type {Tab} */ (this.#tabs[to]);
      this.#choose(next);
      next.button.focus();
    } else if (event.key === "Delete") this.close(tab);
    else if (event.key === "F2") this.#rename(tab);
    else if (event.key === " " && event.ctrlKey) this.#toggle(tab);
    else return;
    event.preventDefault();
  }

  // What is seen.

  #render() {
    const write = this.context.canWrite();
    const { phase } = this.context.phase();
    const none = this.#tabs.length === 0;
    this.fresh.hidden = this.split.hidden = !write;
    this.split.disabled = this.#shown.length >= MOST || none;
    this.fresh.disabled = this.#waiting.length > 0 || phase === "stopping";
    this.hint.hidden = none || !write;
    this.panels.hidden = none;
    this.alone.hidden = this.#shown.length < 2;
    this.tools.show(this.#active, write);
    this.#renderEmpty(none, write, phase);
    const words = none || phase === "ready" || phase === "" ? "" : this.#rests(phase, write);
    this.asleep.hidden = !words;
    setText(this.asleep, words);
  }

  /** What it means for terminals that the sandbox isn't ready. @param {string} phase @param {boolean} write */
  #rests(phase, write) {
    if (this.#waiting.length > 0 || phase === "starting") return t("terminal.waking");
    return t(`terminal.${phase === "suspended" ? "asleep" : "down"}${write ? "" : "_viewer"}`);
  }

  /** @param {boolean} none @param {boolean} write @param {string} phase */
  #renderEmpty(none, write, phase) {
    this.empty.hidden = !none;
    const waits = this.#waiting.length > 0 || phase === "starting";
    const text = this.#failure || (phase !== "" && phase !== "ready" ? this.#rests(phase, write) : this.#listed ? t(write ? "terminal.none" : "terminal.none_viewer") : t("terminal.looking"));
    const first = this.empty.querySelector("p");
    if (first?.textContent === text && this.empty.dataset.write === String(write)) return;
    this.empty.dataset.write = String(write);
    const button = h("button", { type: "button", className: "primary", on: { click: () => this.open() } }, t("terminal.open"));
    const again = this.#failure ? h("button", { type: "button", on: { click: () => this.#look() } }, t("pane.again")) : null;
    this.empty.replaceChildren(h("p", { role: "status" }, text), waits ? h("progress", { "aria-label": t("terminal.waking") }) : (again ?? (write && phase !== "" && phase !== "stopping" ? button : "")));
  }
}
