// What is open in the editor of a session, and what of it isn't saved, kept in this browser over a reload of the page.

import { uuid } from "./api.js";
import { pref, prefsOf, setPref } from "./prefs.js";

/** Files of one session, and sessions. */
const MOST_FILES = 20;
const MOST_SESSIONS = 40;
/** Characters of one text that isn't saved, and of all of them, of which the oldest make room: storage for five million is usual. */
const EACH = 2 ** 20;
const ALL = 2 * 2 ** 20;
/** What nobody came back for in so many milliseconds is given up. */
const FORGET = 30 * 24 * 3600 * 1000;
const PREFIX = "staithe.unsaved.";
/** By whom a text is held stands at its beginning, so that it is known without reading all. */
const HEAD = /^\{"at":(\d+),"by":"([^"]*)"/;

/**
 * @typedef {{ line: number, column: number, top: number }} At where the cursor is, and the first line in sight
 * @typedef {{ path: string, at?: At | undefined }} Tab
 * @typedef {{ text: string, version: string, endings: "lf" | "crlf" | "mixed" }} Unsaved a text, and the version that it was made from
 */

/** @param {string} key */
function headOf(key) {
  const [, at = "0", by = ""] = HEAD.exec(localStorage.getItem(key)?.slice(0, 100) ?? "") ?? [];
  return { at: Number(at), by };
}

/** What is kept of a session that is gone. @param {string} session */
export function forgetSession(session) {
  setPref(`tabs.${session}`, "");
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(`${PREFIX}${session}/`)) localStorage.removeItem(key);
  } catch { /* forbidden: nothing was kept */ }
}

export class Kept {
  /** This page; several may show one session. */
  #me = uuid();
  /** What this page holds, by path. @type {Map<string, Unsaved>} */
  #mine = new Map();
  /** What other pages hold that are open now. @type {Set<string>} */
  #theirs = new Set();
  /** @type {BroadcastChannel | undefined} */
  #channel;

  /** @param {string} session */
  constructor(session) {
    this.session = session;
    try {
      for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX) && headOf(key).at < Date.now() - FORGET) localStorage.removeItem(key);
    } catch { /* forbidden: nothing is kept */ }
    this.#listen();
    addEventListener("pagehide", () => this.#channel?.close()); // what it holds is for whoever comes next
    addEventListener("pageshow", (event) => event.persisted && this.#listen());
  }

  /** Asks other pages what they hold, and tells them. */
  #listen() {
    const channel = new BroadcastChannel(`${PREFIX}${this.session}`);
    channel.addEventListener("message", ({ data }) => {
      if (data.held) for (const path of data.held) this.#theirs.add(path);
      else channel.postMessage({ held: [...this.#mine.keys()] });
    });
    channel.postMessage({ asks: true });
    this.#channel = channel;
  }

  // Open files

  /** As this tab of the browser had them; a new one has them as another had them last. @returns {{ tabs: Tab[], active: string }} */
  tabs() {
    try {
      const { tabs, active } = JSON.parse(sessionStorage.getItem(this.#own) ?? pref(`tabs.${this.session}`));
      return { tabs: tabs.filter((/** @type {any} */ tab) => typeof tab.path === "string").slice(0, MOST_FILES), active: String(active) };
    } catch {
      return { tabs: [], active: "" };
    }
  }

  /** @param {Tab[]} tabs @param {string} active */
  setTabs(tabs, active) {
    const name = /** @type {const} */ (`tabs.${this.session}`);
    if (tabs.length > 0 && !pref(name)) this.#makeRoom();
    const shown = tabs.findIndex(({ path }) => path === active);
    const from = Math.max(0, shown - MOST_FILES + 1); // the one that is looked at is among them
    const text = JSON.stringify({ when: Date.now(), active, tabs: tabs.slice(from, from + MOST_FILES) });
    setPref(name, tabs.length > 0 ? text : "");
    try {
      sessionStorage.setItem(this.#own, text);
    } catch { /* forbidden or full: then it is as another tab's */ }
  }

  get #own() {
    return `staithe.tabs.${this.session}`;
  }

  /** The sessions of long ago make room. */
  #makeRoom() {
    const when = (/** @type {import("./prefs.js").Pref} */ name) => Number(/^\{"when":(\d+)/.exec(pref(name))?.[1] ?? 0);
    const all = prefsOf("tabs.").sort((a, b) => when(b) - when(a));
    for (const name of all.slice(MOST_SESSIONS - 1)) setPref(name, "");
  }

  // Texts that aren't saved

  /** @param {string} path */
  #key(path) {
    return `${PREFIX}${this.session}/${path}`;
  }

  /** The files of which a text is kept that no open page holds. */
  paths() {
    const begin = this.#key("");
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(begin)).map((key) => key.slice(begin.length)).filter((path) => !this.#theirs.has(path));
    } catch {
      return [];
    }
  }

  /** What was not saved of a file; from now on it is this page's. @param {string} path @returns {Unsaved | null} */
  take(path) {
    if (!this.paths().includes(path)) return null;
    try {
      const { text, version, endings } = JSON.parse(localStorage.getItem(this.#key(path)) ?? "");
      if (typeof text !== "string" || typeof version !== "string") return null;
      this.#write(path, { text, version, endings });
      return { text, version, endings };
    } catch {
      return null;
    }
  }

  /** @param {string} path @param {Unsaved} unsaved @returns {boolean} whether it is kept */
  keep(path, unsaved) {
    const mine = this.#mine.get(path);
    if (mine?.text === unsaved.text && mine.version === unsaved.version && this.#holds(path)) return true;
    try {
      return this.#mayWrite(path, unsaved) && this.#write(path, unsaved);
    } catch {
      return false; // full, or forbidden
    }
  }

  /** Whether it fits, and is in the place of no other text of another page's. @param {string} path @param {Unsaved} unsaved */
  #mayWrite(path, { text }) {
    const key = this.#key(path);
    const there = localStorage.getItem(key);
    if (there !== null && !this.#holds(path) && JSON.parse(there).text !== text) return false;
    return text.length <= EACH && this.#makeRoomFor(key, text.length);
  }

  /** The oldest texts go, but none of this page's. @param {string} key @param {number} length @returns {boolean} whether there is room */
  #makeRoomFor(key, length) {
    const others = Object.keys(localStorage).filter((other) => other.startsWith(PREFIX) && other !== key)
      .map((other) => ({ other, length: localStorage.getItem(other)?.length ?? 0, ...headOf(other) })).sort((a, b) => a.at - b.at);
    let over = others.reduce((all, one) => all + one.length, length) - ALL;
    const old = [];
    for (const one of others) {
      if (over <= 0) break;
      if (one.by === this.#me) continue;
      old.push(one.other);
      over -= one.length;
    }
    if (over > 0) return false;
    for (const other of old) localStorage.removeItem(other);
    return true;
  }

  /** @param {string} path @param {Unsaved} unsaved */
  #write(path, unsaved) {
    localStorage.setItem(this.#key(path), JSON.stringify({ at: Date.now(), by: this.#me, ...unsaved }));
    this.#mine.set(path, unsaved);
    return true;
  }

  /** @param {string} path */
  #holds(path) {
    return headOf(this.#key(path)).by === this.#me;
  }

  /** It is saved, or given up. @param {string} path */
  drop(path) {
    if (!this.#mine.delete(path)) return;
    try {
      if (this.#holds(path)) localStorage.removeItem(this.#key(path));
    } catch { /* forbidden: nothing was kept */ }
  }

  /** The session is gone, and all that was kept of it. */
  forget() {
    this.setTabs([], "");
    for (const path of this.paths()) localStorage.removeItem(this.#key(path));
    this.#mine.clear();
  }
}
