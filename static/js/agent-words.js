// The agent's states and their reasons, in words.

import { has, t } from "./i18n.js";

/** Why it is in a state, or nothing: `limit.steps`, `crash`, `stuck.repeats`, `model.bad_key`. @param {string} reason */
export function agentReason(reason) {
  if (!reason) return "";
  if (/^[a-z_.]+$/.test(reason) && has(`agent_reason.${reason}`)) return t(`agent_reason.${reason}`);
  return reason;
}

/** An agent that waits for a sandbox which doesn't come. @param {string} state */
export const unstarted = (state) => (["", "loading", "init"].includes(state) ? "not_started" : state);

/** What the person can do now. @param {string} state @param {string} reason */
export function agentAdvice(state, reason) {
  const first = reason.split(".")[0] ?? "";
  for (const key of [`agent_advice.${first}`, `agent_advice.${state}`]) if (/^[a-z_.]+$/.test(key) && has(key)) return t(key);
  return "";
}

/** What a client may ask for; the server decides. @param {string} state @param {string} reason */
export function choices(state, reason) {
  const stuck = state === "error" && reason.startsWith("stuck");
  return {
    pause: ["running", "rate_limited"].includes(state),
    stop: ["running", "rate_limited", "paused", "awaiting_user_confirmation"].includes(state),
    go: !stuck && ["paused", "error", "rate_limited"].includes(state),
    stuck,
  };
}
