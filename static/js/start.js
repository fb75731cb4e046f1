// A start as it goes: the steps that are done, the one that runs, the time so far; or the place in the queue.

import { countText } from "./badges.js";
import { $, announce, h, setText } from "./dom.js";
import { duration, elapsed, t, word } from "./i18n.js";
import { Began, ProgressView } from "./progress.js";

/** @typedef {import("./badges.js").PhaseView} PhaseView */
/** @typedef {{ step: string, began: number, took?: number }} Step */

/** A start that is faster isn't worth moving the page for. */
const QUICK = 400;
const TICK = 500;
/** Between two announcements of a place, or of how far it is. */
const SAY_EVERY = 15000;

/** What the events tell of the newest start; times are the server's, in milliseconds. */
export class Course {
  /** @type {Step[]} */
  steps = [];
  began = 0;
  #going = false;

  /** Takes the phases in order. @param {PhaseView} view @param {number} at */
  note(view, at) {
    const last = this.steps.at(-1);
    if (view.phase !== "starting") {
      if (this.#going && last) last.took = at - last.began;
      this.#going = false;
      return;
    }
    if (!this.#going || (!view.step && last)) {
      this.#going = true;
      this.steps = [];
      this.began = at;
    }
    const before = this.steps.at(-1);
    if (!view.step || view.step === before?.step) return;
    if (before) before.took = at - before.began;
    this.steps.push({ step: view.step, began: at });
  }
}

/** Shows the newest start on the session's page, while it goes on. */
export class StartPanel {
  #course = new Course();
  #began = new Began();
  #progress = new ProgressView();
  /** @type {PhaseView} */
  #view = { phase: "" };
  /** How far this clock is ahead of the server's. */
  #ahead = 0;
  #measured = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  #shownAt = 0;
  #said = "";
  #saidAt = 0;

  /** @param {PhaseView} view @param {Date} when @param {boolean} fresh whether it happened just now */
  note(view, when, fresh) {
    const at = when.getTime();
    if (fresh) {
      const ahead = Date.now() - at;
      this.#ahead = this.#measured ? Math.min(this.#ahead, ahead) : ahead;
      this.#measured = true;
    }
    this.#course.note(view, at);
    this.#began.note(view.progress, at);
  }

  /** @param {PhaseView} view what holds now */
  show(view) {
    this.#view = view;
    if (view.phase !== "starting") {
      clearInterval(this.#ticking);
      this.#ticking = undefined;
      this.#said = "";
      $("start").hidden = true;
      this.#progress.show(undefined, undefined, 0);
      return;
    }
    if (this.#ticking === undefined) {
      this.#shownAt = Date.now();
      this.#ticking = setInterval(() => this.#render(), TICK);
    }
    this.#render();
  }

  #render() {
    const { step, position, progress, reason } = this.#view;
    const queued = step === "queue";
    if (!queued && Date.now() - this.#shownAt < QUICK) return;
    setText($("start-title"), !queued ? t("start.title") : position ? t("phase.queued", { position }) : word("step", "queue"));
    const now = Date.now() - this.#ahead;
    const { began } = this.#course;
    setText($("start-time"), began ? t("start.so_far", { time: whole(now - began) }) : "");
    const note = [queued ? t("start.turn") : "", reason ? word("reason", reason) : ""].filter(Boolean).join(" ");
    setText($("start-note"), note);
    $("start-note").hidden = !note;
    this.#renderSteps(now);
    $("start-steps").hidden = queued && this.#course.steps.length < 2; // the title says it
    this.#progress.show(step, progress, this.#began.at && now - this.#began.at);
    $("start").hidden = false;
    if (queued && position) this.#say(t("phase.queued", { position }), position === 1);
    else if (progress) this.#say([word("step", step ?? ""), countText(step, progress)].filter(Boolean).join(": "));
  }

  /** @param {number} now */
  #renderSteps(now) {
    const steps = [...this.#course.steps];
    const { step, progress } = this.#view;
    if (step && steps.at(-1)?.step !== step) steps.push({ step, began: now }); // its event is still to come
    const list = /** @type {HTMLElement} */ ($("start-steps"));
    while (list.children.length > steps.length) list.lastElementChild?.remove();
    steps.forEach((one, index) => {
      const done = index < steps.length - 1;
      const line = list.children[index] ?? list.appendChild(h("li", {}, h("span", { className: "sr" }), h("span"), h("span", { className: "muted" })));
      const [state, name, time] = /** @type {[HTMLElement, HTMLElement, HTMLElement]} */ (/** @type {unknown} */ ([...line.children]));
      /** @type {HTMLElement} */ (line).dataset.state = done ? "done" : "running";
      if (done) line.removeAttribute("aria-current");
      else line.setAttribute("aria-current", "step");
      setText(state, `${t(done ? "start.done" : "start.running")} `);
      setText(name, word("step", one.step));
      const running = !done && progress ? "" : whole(now - one.began); // how far it is has the time beside it
      setText(time, one.took !== undefined ? duration(Math.max(0, one.took)) : running);
    });
  }

  /** The page shows everything at once; those who listen hear of it now and then. @param {string} text @param {boolean} [urgent] */
  #say(text, urgent = false) {
    const due = urgent || !this.#said || Date.now() - this.#saidAt >= SAY_EVERY;
    if (text === this.#said || !due) return;
    this.#said = text;
    this.#saidAt = Date.now();
    announce(text);
  }
}

/** Whole seconds, from the first on. @param {number} ms */
function whole(ms) {
  return ms < 1000 ? "" : elapsed(ms);
}
