// The operator's page: its parts are put together and kept fresh while somebody looks.

import { $, markNav } from "./dom.js";
import { Bulk } from "./admin-bulk.js";
import { Choice } from "./admin-choice.js";
import { Drawer } from "./admin-drawer.js";
import { Engine } from "./admin-engine.js";
import { listenToKeys } from "./admin-keys.js";
import { Overview } from "./admin-overview.js";
import { Plots } from "./admin-plots.js";
import { Silence } from "./admin-silence.js";
import { Table } from "./admin-table.js";

/** Between two refreshes of the list and of the overview, in milliseconds. */
const LIST_EVERY = 5000;
const OVERVIEW_EVERY = 10_000;

markNav("admin");
const engine = new Engine();
const plots = new Plots();
const overview = new Overview({ engine, filter: (phase) => {
  table.ask({ phase });
  $("admin-sessions-title").scrollIntoView({ block: "start" });
}, drawn: (body) => plots.show(body) });
const choice = new Choice();
const table = new Table({ choice, open: (session) => drawer.open(session), changed: ({ phase }) => overview.mark(phase) });
const bulk = new Bulk(choice, table);
const drawer = new Drawer({ closed: (id) => table.focusOn(id), changed: () => table.refresh() });

async function list() {
  await Promise.all([table.refresh(), drawer.refresh()]);
  bulk.show();
}

async function figures() {
  await engine.refresh();
  await overview.refresh();
}

function all() {
  list();
  figures();
}

listenToKeys({ table, bulk, refresh: all, open: () => table.current && drawer.open(table.current.session) });
const silence = new Silence(all);
const idle = () => document.hidden || silence.is;
document.addEventListener("visibilitychange", () => idle() || all());
setInterval(() => idle() || list(), LIST_EVERY);
setInterval(() => idle() || figures(), OVERVIEW_EVERY);
all();
