// Phase and agent badges, as every page shows them.

import { setText } from "./dom.js";
import { ago, dateTime, parseTime, t, word } from "./i18n.js";

/** @typedef {{ phase: string, step?: string, position?: number, reason?: string, fault?: { code: string, step?: string, cause: string, remedy: string, log_tail?: string[] } }} PhaseView */
/** @typedef {PhaseView & { id: string, title: string, owner: string, agent_state: string, head: number, created_at: string, updated_at: string, labels: Record<string, string>, clients: number }} SessionBody */

/** @param {PhaseView} view */
export function phaseText({ phase, step, position }) {
  if (phase !== "starting" || !step) return word("phase", phase);
  return step === "queue" && position ? t("phase.queued", { position }) : t("phase.with_step", { step: word("step", step) });
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
