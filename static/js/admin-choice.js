// Which sessions are chosen, on every page of the list; and choosing all that match by walking its pages.

import { get } from "./api.js";
import { listPath } from "./admin-query.js";

/** @typedef {import("./admin-row.js").SessionBody} SessionBody */

/** So many can be chosen at once. */
export const BOUND = 5000;
/** The most that one page of the server's holds. */
const PAGE = 500;

export class Choice {
  /** @type {Map<string, SessionBody>} */
  #chosen = new Map();
  /** @type {(() => void)[]} */
  #watchers = [];

  get size() {
    return this.#chosen.size;
  }

  get sessions() {
    return [...this.#chosen.values()];
  }

  /** @param {string} id */
  has(id) {
    return this.#chosen.has(id);
  }

  /** @param {() => void} watcher called after each change */
  watch(watcher) {
    this.#watchers.push(watcher);
  }

  #tell() {
    for (const watcher of this.#watchers) watcher();
  }

  /** @param {SessionBody[]} sessions @param {boolean} chosen */
  set(sessions, chosen) {
    for (const session of sessions) {
      if (!chosen) this.#chosen.delete(session.id);
      else if (this.#chosen.size < BOUND) this.#chosen.set(session.id, session);
    }
    this.#tell();
  }

  clear() {
    if (!this.#chosen.size) return;
    this.#chosen.clear();
    this.#tell();
  }

  /** What the list tells newly of those that are chosen. @param {SessionBody[]} sessions */
  refresh(sessions) {
    for (const session of sessions) if (this.#chosen.has(session.id)) this.#chosen.set(session.id, session);
  }

  /**
   * Chooses all that match, oldest first, so that new sessions don't move the pages.
   * @param {import("./admin-query.js").Query} query @param {AbortSignal} signal @param {(done: number, total: number) => void} tell
   * @returns {Promise<boolean>} whether these were all
   */
  async matching(query, signal, tell) {
    for (let page = 0; this.#chosen.size < BOUND; page += 1) {
      const asked = { ...query, sort: "created_at", order: "asc", limit: PAGE, page };
      /** @type {{ sessions: SessionBody[], total: number, next_page?: number }} */
      const { sessions, total, next_page } = await get(listPath(asked), signal);
      const most = Math.min(total, BOUND);
      this.set(sessions, true);
      tell(Math.min((page + 1) * PAGE, most), most);
      if (next_page === undefined) return total <= BOUND;
    }
    return false;
  }
}
