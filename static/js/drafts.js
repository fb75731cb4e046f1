// What a person wrote: before it is sent, over a reload; after it was sent, to have it again.

const MOST = 500;

/** What was sent, and where in it one is. */
export class History {
  /** @type {string[]} */
  #texts = [];
  #at = 0;
  /** What was in the box before one went back. */
  #unsent = "";

  /** @param {string} text */
  add(text) {
    if (!text) return;
    if (this.#texts.at(-1) !== text) this.#texts.push(text);
    if (this.#texts.length > MOST) this.#texts.shift();
    this.toEnd();
  }

  toEnd() {
    this.#at = this.#texts.length;
  }

  /** The one before or after, or nothing where there is none. @param {number} by @param {string} now what is in the box */
  step(by, now) {
    const to = this.#at + by;
    if (to < 0 || to > this.#texts.length) return undefined;
    if (this.#at === this.#texts.length) this.#unsent = now;
    this.#at = to;
    return this.#texts[to] ?? this.#unsent;
  }
}

/** The unsent text of one session and where it goes, for as long as the tab lives. */
export class Draft {
  /** @param {string} session */
  constructor(session) {
    this.key = `staithe.draft.${session}`;
    this.chosen = `staithe.to.${session}`;
  }

  /** @returns {{ text: string, toAgent: boolean }} */
  get() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.key) ?? "{}");
      return { text: String(kept.text ?? ""), toAgent: kept.toAgent === true };
    } catch {
      return { text: "", toAgent: false };
    }
  }

  /** Whom the person chose to write to, or undefined. @returns {boolean | undefined} */
  get choice() {
    try {
      const kept = sessionStorage.getItem(this.chosen);
      return kept === null ? undefined : kept === "agent";
    } catch {
      return undefined;
    }
  }

  /** @param {boolean} toAgent */
  choose(toAgent) {
    try {
      sessionStorage.setItem(this.chosen, toAgent ? "agent" : "shell");
    } catch { /* full or forbidden: it holds as long as the page */ }
  }

  /** @param {string} text @param {boolean} toAgent */
  set(text, toAgent) {
    try {
      if (text) sessionStorage.setItem(this.key, JSON.stringify({ text, toAgent }));
      else sessionStorage.removeItem(this.key);
    } catch { /* full or forbidden: it lives as long as the page */ }
  }
}
