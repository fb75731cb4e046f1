// Another title for a session.

import { call, sessionPath } from "./api.js";
import { ask, complain } from "./dialog.js";
import { t } from "./i18n.js";

const LONGEST = 200;

/** Asks for the title and sets it. @param {string} id @param {string} title @returns {Promise<any>} the session, or null where nothing was changed */
export async function renameSession(id, title) {
  const wanted = await ask(t("sessions.rename_title"), t("sessions.field_title"), title, { whole: true, most: LONGEST });
  if (!wanted || wanted === title) return null;
  try {
    return await call("PUT", `${sessionPath(id)}/title`, { json: { title: wanted } });
  } catch (error) {
    complain(error);
    return null;
  }
}
