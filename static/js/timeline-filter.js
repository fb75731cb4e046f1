// Which events the timeline shows: by what they are, who they are from, and what stands in them.

import { kindOf, summaryOf } from "./event-words.js";

/** Milliseconds in a row that a search may take. */
const SLICE = 12;

/** @typedef {{ kind: string, source: string, text: string }} Wish */

/** Whether the wish leaves anything out. @param {Wish} wish */
export const narrows = ({ kind, source, text }) => Boolean(kind || source || text.trim());

/** A kind as one word that tells actions from observations. @param {any} event */
export const kindKey = (event) => `${event.action ? "action" : "observation"}:${kindOf(event)}`;

/** @param {any} event @param {Wish} wish */
export function matches(event, { kind, source, text }) {
  if (kind && kindKey(event) !== kind) return false;
  if (source && (event.source ?? "environment") !== source) return false;
  const wanted = text.trim().toLowerCase();
  if (!wanted) return true;
  const id = /^#?(\d+)$/.exec(wanted)?.[1];
  if (id && Number(id) === event.id) return true;
  return summaryOf(event).toLowerCase().includes(wanted) || JSON.stringify(event).toLowerCase().includes(wanted);
}

/** Goes through many events in pieces, so that the page goes on; only the newest search counts. */
export class Search {
  #turn = 0;

  /**
   * @template {{ event: any }} T
   * @param {T[]} rows @param {Wish} wish @param {(found: T[]) => void} done gets those up to now; more may have come since
   */
  start(rows, wish, done) {
    this.#turn += 1;
    const turn = this.#turn;
    /** @type {T[]} */
    const found = [];
    let at = 0;
    const go = () => {
      if (turn !== this.#turn) return;
      const until = performance.now() + SLICE;
      for (; at < rows.length && performance.now() < until; at += 1) {
        const row = /** @type {T} */ (rows[at]);
        if (matches(row.event, wish)) found.push(row);
      }
      if (at < rows.length) setTimeout(go);
      else done(found);
    };
    go();
  }
}
