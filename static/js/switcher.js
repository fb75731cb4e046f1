// The other sessions, the latest first: a list under the title of a session's page, and one of the palette's.

import { get } from "./api.js";
import { showAgent, showPhase, titleOf } from "./badges.js";
import { h } from "./dom.js";
import { ago, parseTime, t } from "./i18n.js";
import { pickFrom } from "./picker.js";

/** @typedef {import("./badges.js").SessionBody} SessionBody */

const MOST = 500;

/** @param {SessionBody} session @returns {import("./picker.js").Item} */
function item(session) {
  const phase = h("span", { className: "badge" });
  showPhase(phase, session);
  const marks = [phase];
  if (!["init", "loading", "stopped"].includes(session.agent_state)) {
    const agent = h("span", { className: "badge soft" });
    showAgent(agent, session.agent_state);
    marks.push(agent);
  }
  const labels = Object.entries(session.labels).map(([name, value]) => (value ? `${name}=${value}` : name));
  const note = [ago(parseTime(session.updated_at)), ...labels].join(" · ");
  return { id: session.id, title: titleOf(session.title), note, marks, run: () => location.assign(`/sessions/${session.id}`) };
}

/** @param {string} current the session that one is in already @param {boolean} create whether new ones may be made @returns {Promise<import("./picker.js").Item[]>} */
async function items(current, create) {
  /** @type {{ sessions: SessionBody[] }} */
  const { sessions } = await get(`/api/sessions?limit=${MOST}`);
  const others = sessions.filter(({ id }) => id !== current).sort((a, b) => parseTime(b.updated_at).getTime() - parseTime(a.updated_at).getTime());
  const ends = [{ id: "all-sessions", title: t("switcher.all"), fixed: true, run: () => location.assign("/") }];
  if (create) ends.unshift({ id: "new-session", title: t("sessions.new"), fixed: true, run: () => location.assign("/#new") });
  return [...others.map(item), ...ends];
}

/** Opens the list. @param {{ current?: string, create?: boolean, anchor?: HTMLElement }} [where] */
export function switchSession({ current = document.getElementById("session")?.dataset.session ?? "", create = false, anchor } = {}) {
  return pickFrom({ label: t("switcher.title"), hint: t("switcher.hint"), none: t("switcher.none"), items: () => items(current, create), ...(anchor && { anchor }) });
}
