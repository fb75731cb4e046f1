// Phase and agent badges, as every page shows them.

import { setText } from "./dom.js";
import { ago, dateTime, parseTime, t, word } from "./i18n.js";

/** @typedef {{ image: string, number: number, of: number, text: string, lines?: string[], seconds: number }} Progress */
/** @typedef {{ phase: string, step?: string, position?: number, progress?: Progress, reason?: string, fault?: { code: string, step?: string, cause: string, remedy: string, log_tail?: string[] } }} PhaseView */
/** @typedef {PhaseView & { id: string, title: string, owner: string, agent_state: string, head: number, created_at: string, updated_at: string, labels: Record<string, string>, clients: number }} SessionBody */

/** @param {PhaseView} view */
export function phaseText({ phase, step, position, progress }) {
  if (phase !== "starting" || !step) return word("phase", phase);
  if (step === "queue" && position) return t("phase.queued", { position });
  const { number = 0, of = 0 } = progress ?? {};
  return of ? t("phase.with_progress", { step: word("step", step), number, of }) : t("phase.with_step", { step: word("step", step) });
}

/** "Step 3 of 14", of a fetched image "3 of 7 layers"; nothing while it isn't known. @param {string | undefined} step @param {Progress} progress */
export function countText(step, { number, of }) {
  if (step === "image") return of ? t("start.layers", { number, count: of }) : "";
  if (of) return t("start.step_of", { number, of });
  return number ? t("start.step_number", { number }) : "";
}

/** Why it is in this phase, where that isn't plain; or nothing. @param {PhaseView} view */
export const reasonText = ({ reason }) => (reason ? word("reason", reason) : "");

/** @param {HTMLElement} badge @param {PhaseView} view */
export function showPhase(badge, view) {
  badge.dataset.phase = view.phase;
  setText(badge, phaseText(view));
}

/** @param {HTMLElement} badge @param {string} state */
export function showAgent(badge, state) {
  badge.dataset.agent = state;
  setText(badge, t("agent.label", { state: word("agent", state) }));
}

/** @param {HTMLTimeElement} element @param {string} text @param {string} [key] */
export function showAgo(element, text, key) {
  const when = parseTime(text);
  element.dateTime = text;
  element.title = dateTime(when);
  setText(element, key ? t(key, { when: ago(when) }) : ago(when));
}

/** @param {string} title */
export const titleOf = (title) => title || t("sessions.untitled");

/** Whether there is something to stop. @param {string} phase */
export const stoppable = (phase) => phase === "starting" || phase === "ready" || phase === "suspended";
