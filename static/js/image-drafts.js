// Images of a message that isn't sent yet, kept over a reload: in IndexedDB, as the storage of the text holds too little.

import { uuid } from "./api.js";

const DATABASE = "staithe";
const IMAGES = "images";
/** Characters of one message's images: what a message takes, written as text. */
const MOST = 21 * 2 ** 20;
/** Characters of all that is kept, of all tabs and sessions: the oldest make room. */
const ALL = 64 * 2 ** 20;
/** Tabs are closed without a word: what nobody asked for in so many milliseconds is given up. */
const FORGET = 7 * 24 * 3600 * 1000;

/** @typedef {import("./attachments.js").Image} Image */

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function done(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}

/** @returns {Promise<IDBDatabase>} */
function database() {
  const opening = indexedDB.open(DATABASE, 1);
  opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore(IMAGES, { keyPath: "id" }).createIndex("age", ["at", "size"]));
  return done(opening);
}

/** Drops what is old, and as much of the oldest as is in the way. @param {IDBObjectStore} store @param {string} id @param {number} size of what comes */
async function makeRoom(store, id, size) {
  let sum = size;
  const cursors = store.index("age").openKeyCursor(null, "prev");
  for (let cursor = await done(cursors); cursor; cursor = await done(cursors)) {
    const [at = 0, one = 0] = /** @type {number[]} */ (cursor.key);
    if (cursor.primaryKey !== id) {
      sum += one;
      if (sum > ALL || at < Date.now() - FORGET) store.delete(cursor.primaryKey);
    }
    cursor.continue();
  }
}

/**
 * Holds what is kept under an id for as long as this page lives, so that no other changes it. It waits for nobody: it would
 * come by what a page holds that is only loaded again.
 * @param {string} id @returns {Promise<boolean>} false: another page holds it, or it can't be known (plain http)
 */
function hold(id) {
  return new Promise((resolve) => {
    /** @param {Lock | null} lock */
    const held = (lock) => {
      resolve(lock !== null);
      return lock ? new Promise(() => {}) : undefined; // until the page goes
    };
    navigator.locks?.request(`staithe.images.${id}`, { ifAvailable: true }, held).catch(() => resolve(false));
    if (!navigator.locks) resolve(false);
  });
}

/** Those of one session, in one tab. */
export class ImageDraft {
  /** One after the other. @type {Promise<unknown>} */
  #work = Promise.resolve();
  /** Where this page keeps them; nowhere yet where it is empty. */
  #id = "";
  /** Where they were kept before the page was loaded; a duplicate of a tab has the other's. @type {string | null} */
  #came = null;
  /** Whether that is this page's alone. */
  #mine;

  /** @param {string} session */
  constructor(session) {
    this.key = `staithe.images.${session}`;
    try {
      this.#came = sessionStorage.getItem(this.key);
    } catch { /* forbidden: then there is nothing */ }
    this.#mine = this.#came ? hold(this.#came) : Promise.resolve(false);
  }

  /** @returns {Promise<Image[]>} */
  async get() {
    try {
      if (!this.#came) return [];
      const base = await database();
      const kept = await done(base.transaction(IMAGES).objectStore(IMAGES).get(this.#came));
      base.close();
      return kept?.images ?? [];
    } catch {
      return []; // forbidden, or not there any more
    }
  }

  /** @param {Image[]} images @returns {Promise<boolean>} whether they are kept */
  set(images) {
    const now = this.#work.then(() => this.#set(images)).catch(() => false);
    this.#work = now;
    if (images.length === 0) this.#forget(); // at once: what was sent doesn't come back with a reload
    return now;
  }

  #forget() {
    try {
      sessionStorage.removeItem(this.key);
    } catch { /* forbidden: then there is nothing */ }
  }

  /** @param {Image[]} images */
  async #set(images) {
    if (await this.#mine) this.#id ||= this.#came ?? "";
    if (!this.#id && images.length === 0) return true;
    if (!this.#id) await hold((this.#id = uuid()));
    const size = images.reduce((sum, { url }) => sum + url.length, 0);
    const base = await database();
    try {
      const change = base.transaction(IMAGES, "readwrite");
      const ended = new Promise((resolve, reject) => {
        change.addEventListener("complete", resolve);
        change.addEventListener("abort", () => reject(change.error));
      });
      ended.catch(() => {}); // what fails first is told
      const store = change.objectStore(IMAGES);
      store.delete(this.#id);
      if (images.length > 0 && size <= MOST) {
        await makeRoom(store, this.#id, size);
        store.put({ id: this.#id, at: Date.now(), size, images });
      }
      await ended;
    } finally {
      base.close();
    }
    if (images.length > 0) sessionStorage.setItem(this.key, this.#id);
    return size <= MOST;
  }
}
