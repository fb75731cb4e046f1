// Much work against the server, a few at a time: with progress, an end before the end, and a list of what failed.

import { Problem } from "./api.js";

const AT_ONCE = 4;
/** As often one piece is tried again when the server asks for patience. */
const PATIENCE = 3;

/**
 * @template T
 * @typedef {{ item: T, reason: string }} Failure
 */
/**
 * @template T
 * @typedef {{ done: T[], failed: Failure<T>[], left: T[] }} Outcome `left`: what was not tried
 */

/** Without sign-in or server nothing else can succeed either. @param {unknown} error */
const endsAll = (error) => error instanceof Problem && (error.status === 401 || error.status === 0);

/** Waits, or until the work is cancelled. @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
const pause = (ms, signal) => new Promise((resolve) => {
  const end = () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
    resolve();
  };
  const timer = setTimeout(end, ms);
  signal.addEventListener("abort", end);
});

/**
 * @template T
 * @param {T} item @param {(item: T) => Promise<unknown>} work @param {AbortSignal} signal
 */
async function patiently(item, work, signal) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await work(item);
    } catch (error) {
      const slow = error instanceof Problem && error.status === 429 && tried < PATIENCE && !signal.aborted;
      if (!slow) throw error;
      await pause(1000 * Math.max(1, Number(error.body.retry_after) || 1), signal);
    }
  }
}

/**
 * Does the work for each item. What has begun is brought to its end when `signal` says no.
 * @template T
 * @param {T[]} items @param {(item: T) => Promise<unknown>} work @param {AbortSignal} signal
 * @param {(outcome: Outcome<T>) => void} [tell] after each
 * @returns {Promise<Outcome<T>>}
 */
export async function workThrough(items, work, signal, tell = () => {}) {
  /** @type {Outcome<T>} */
  const outcome = { done: [], failed: [], left: [...items] };
  let ended = false;
  const worker = async () => {
    while (!ended && !signal.aborted) {
      const item = outcome.left.shift();
      if (item === undefined) return;
      try {
        await patiently(item, work, signal);
        outcome.done.push(item);
      } catch (error) {
        outcome.failed.push({ item, reason: error instanceof Error ? error.message : String(error) });
        ended ||= endsAll(error);
      }
      tell(outcome);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  return outcome;
}
