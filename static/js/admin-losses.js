// What is lost when many sessions are stopped or deleted, in words and numbers, before anybody agrees.

import { get, sessionPath } from "./api.js";
import { stoppable, titleOf } from "./badges.js";
import { choose } from "./dialog.js";
import { h, setText } from "./dom.js";
import { t } from "./i18n.js";
import { workThrough } from "./admin-work.js";

/** @typedef {import("./admin-row.js").SessionBody} SessionBody */

/** Titles that are named one by one. */
const NAMED = 10;
/** Sessions whose events are looked through for running commands, and how many events of each. */
const LOOKED = 50;
const EVENTS = 200;

/** Commands that have no observation yet. @param {any[]} events */
export function openCommands(events) {
  const open = new Set(events.filter((event) => event.action === "run" || event.action === "run_ipython").map((event) => event.id));
  for (const event of events) if (event.observation) open.delete(event.cause);
  return open.size;
}

/** Looks what runs and writes it into the line. @param {SessionBody[]} running @param {HTMLElement} line @param {AbortSignal} signal */
async function countCommands(running, line, signal) {
  const looked = running.slice(0, LOOKED);
  let count = 0;
  const { failed } = await workThrough(looked, async ({ id, head }) => {
    const { events } = await get(`${sessionPath(id)}/events?after=${Math.max(-1, head - EVENTS)}&limit=${EVENTS}`, signal);
    count += openCommands(events);
  }, signal);
  if (signal.aborted) return;
  if (failed.length) setText(line, t("admin.lose_commands_unknown"));
  else if (looked.length < running.length) setText(line, t("admin.lose_commands_part", { count, looked: looked.length }));
  else setText(line, count ? t("admin.lose_commands", { count }) : t("admin.lose_commands_none"));
}

/** The first titles, and how many follow. @param {SessionBody[]} sessions */
function titles(sessions) {
  const lines = sessions.slice(0, NAMED).map((session) => h("li", {}, titleOf(session.title)));
  const more = sessions.length - lines.length;
  return h("ul", { className: "titles" }, ...lines, more > 0 && h("li", { className: "muted" }, t("admin.more_titles", { count: more })));
}

/** Whether a sandbox is there, or coming. @param {SessionBody} session */
const hasSandbox = ({ phase }) => stoppable(phase) || phase === "stopping";
/** @param {SessionBody[]} sessions @param {(session: SessionBody) => number} of */
const sum = (sessions, of) => sessions.reduce((all, session) => all + of(session), 0);

/**
 * Asks before many are stopped or deleted.
 * @param {"stop" | "delete"} deed @param {SessionBody[]} sessions @param {number} left how many are chosen and left alone
 * @returns {Promise<boolean>}
 */
export async function confirmMany(deed, sessions, left) {
  const count = sessions.length;
  const awake = sessions.filter(hasSandbox);
  const ready = sessions.filter(({ phase }) => phase === "ready");
  const agents = sessions.filter((session) => session.agent_state === "running").length;
  const clients = sum(sessions, (session) => session.clients);
  const commands = h("span", { role: "status" }, t("admin.lose_commands_looking"));
  const lost = deed === "delete" ? [t("admin.lose_files", { count }), t("admin.lose_events", { count: sum(sessions, ({ head }) => head + 1) })] : [];
  if (awake.length) lost.push(t("admin.lose_sandboxes", { count: awake.length }));
  if (agents) lost.push(t("admin.lose_agents", { count: agents }));
  if (clients && deed === "delete") lost.push(t("admin.lose_clients", { count: clients }));
  const list = h("ul", { className: "losses" }, ...lost.map((line) => h("li", {}, line)), ready.length > 0 && h("li", {}, commands));
  const closed = new AbortController();
  if (ready.length) countCommands(ready, commands, closed.signal);
  const body = [titles(sessions), t(`admin.bulk_${deed}_text`), list, t(deed === "delete" ? "confirm.delete_no_undo" : "admin.bulk_kept")];
  if (left) body.push(t("admin.bulk_left", { count: left }));
  const answer = await choose({ title: t(`admin.bulk_${deed}_title`, { count }), body, choices: [{ value: "yes", label: t(`action.${deed}`), kind: "danger" }] });
  closed.abort();
  return answer === "yes";
}
