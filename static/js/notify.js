// Calls a person back to a page out of sight when an agent waits for one: a notification of the browser, a sound. Off until chosen.

import { titleOf } from "./badges.js";
import { t, word } from "./i18n.js";
import { pref, setPref } from "./prefs.js";

/** The states of an agent in which nothing goes on without a person. */
const WAITS = new Set(["awaiting_user_confirmation", "awaiting_user_input", "finished", "error"]);
/** Two tabs that hear of the same state call once. */
const ONCE = 10_000;
const CALLED = "staithe.called";

/** Whether this browser lets a page notify: "granted", "denied", "default", or "" where it can't at all. */
export function mayNotify() {
  return isSecureContext && typeof Notification === "function" ? Notification.permission : "";
}

/** Turns notifications on if the person lets them. @param {boolean} on @returns {Promise<boolean>} whether they are on */
export async function setNotify(on) {
  const granted = on && mayNotify() !== "" && (await Notification.requestPermission()) === "granted";
  setPref("notify", granted ? "on" : "");
  return granted;
}

/** Two short notes; nothing where the browser makes no sound before a click. */
export function chime() {
  try {
    const context = new AudioContext();
    for (const [at, pitch] of [[0, 660], [0.16, 880]]) {
      const tone = new OscillatorNode(context, { frequency: pitch ?? 0 });
      const level = new GainNode(context, { gain: 0 });
      const begin = context.currentTime + (at ?? 0);
      level.gain.setValueAtTime(0.12, begin);
      level.gain.exponentialRampToValueAtTime(0.001, begin + 0.3);
      tone.connect(level).connect(context.destination);
      tone.start(begin);
      tone.stop(begin + 0.3);
    }
    setTimeout(() => context.close(), 1000);
  } catch { /* no sound here */ }
}

/** Whether this person is called at all. */
export const calls = () => pref("notify") === "on" || pref("sound") === "on";

/** Whether another tab has called for this already. @param {string} what */
function calledBefore(what) {
  try {
    const { what: last, at } = JSON.parse(localStorage.getItem(CALLED) ?? "{}");
    if (last === what && Date.now() - at < ONCE) return true;
    localStorage.setItem(CALLED, JSON.stringify({ what, at: Date.now() }));
  } catch { /* then each tab calls */ }
  return false;
}

/**
 * An agent is in another state: calls the person if it waits and nobody looks.
 * @param {{ id: string, title: string }} session @param {string} state
 */
export function callBack({ id, title }, state) {
  if (!calls() || !WAITS.has(state) || (!document.hidden && document.hasFocus()) || calledBefore(`${id} ${state}`)) return;
  if (pref("sound") === "on") chime();
  if (pref("notify") !== "on" || mayNotify() !== "granted") return;
  try {
    const note = new Notification(titleOf(title), { body: t("agent.label", { state: word("agent", state) }), tag: `staithe-${id}`, lang: document.documentElement.lang });
    note.addEventListener("click", () => {
      focus();
      const there = `/sessions/${id}`;
      if (location.pathname !== there) location.assign(there);
      note.close();
    });
  } catch { /* some browsers let only service workers notify */ }
}
