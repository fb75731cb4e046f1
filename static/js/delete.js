// Deleting a session, with what this browser keeps of it.

import { call, sessionPath } from "./api.js";
import { forgetSession } from "./editor-kept.js";

/** @param {string} id */
export async function deleteSession(id) {
  await call("DELETE", sessionPath(id));
  forgetSession(id);
}
