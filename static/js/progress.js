// How far an image is that is built or fetched: a bar, what is being done, the last lines, the time so far.

import { countText } from "./badges.js";
import { $, setText } from "./dom.js";
import { elapsed, t, word } from "./i18n.js";

/** @typedef {import("./badges.js").Progress} Progress */

/** `seconds` are whole ones: only more than that is another beginning. */
const JITTER = 2000;
/** Smaller windows have no room for lines that come and go, until somebody asks for them. */
const ROOMY = "(min-width: 40rem) and (min-height: 40rem)";

/** When the building or fetching began, as near as the events tell; times are the server's, in milliseconds. */
export class Began {
  at = 0;

  /** @param {Progress | undefined} progress @param {number} told when */
  note(progress, told) {
    if (!progress) {
      this.at = 0;
      return;
    }
    const at = told - progress.seconds * 1000;
    if (!this.at || at < this.at || at > this.at + JITTER) this.at = at;
  }
}

/** The part of the start's panel that shows it. */
export class ProgressView {
  /** @type {Progress | undefined} */
  #shown;
  #since = 0;
  #decided = false;

  /** @param {string | undefined} step @param {Progress | undefined} progress @param {number} ran the time by the events, or 0 */
  show(step, progress, ran) {
    $("progress").hidden = !progress;
    if (!progress) {
      this.#shown = undefined;
      return;
    }
    if (this.#shown !== progress) {
      this.#shown = progress;
      this.#since = Date.now();
      this.#fill(step, progress);
    }
    // Whoever came late has no event yet, but knows how long it took until then.
    const time = Math.max(progress.seconds * 1000, ran || progress.seconds * 1000 + Date.now() - this.#since);
    setText($("progress-time"), t("start.so_far", { time: elapsed(time) }));
  }

  /** @param {string | undefined} step @param {Progress} progress */
  #fill(step, progress) {
    const { image, text, lines = [] } = progress;
    const count = countText(step, progress);
    setText($("progress-count"), count);
    setText($("progress-image"), image);
    setText($("progress-text"), text);
    for (const id of ["progress-image", "progress-text"]) $(id).title = $(id).textContent;
    fillBar(/** @type {HTMLProgressElement} */ ($("progress-bar")), step, progress, count);
    const more = /** @type {HTMLDetailsElement} */ ($("progress-more"));
    more.hidden = step !== "build" && lines.length === 0; // a build's place is kept for its first line
    if (!this.#decided && !more.hidden) {
      this.#decided = true;
      more.open = matchMedia(ROOMY).matches;
    }
    setText($("progress-lines"), lines.slice(-5).join("\n"));
  }
}

/** @param {HTMLProgressElement} bar @param {string | undefined} step @param {Progress} progress @param {string} count */
function fillBar(bar, step, { number, of }, count) {
  bar.setAttribute("aria-label", word("step", step ?? ""));
  if (count) bar.setAttribute("aria-valuetext", count);
  else bar.removeAttribute("aria-valuetext");
  if (!of) {
    bar.removeAttribute("value");
    return;
  }
  bar.max = of;
  bar.value = Math.max(0, step === "image" ? number : number - 1); // a step that is under way isn't done
}
