// The emulator of the terminal pane, with what goes with it.
import "@xterm/xterm/css/xterm.css";

export { Terminal } from "@xterm/xterm";
export { FitAddon } from "@xterm/addon-fit";
export { SearchAddon } from "@xterm/addon-search";
export { Unicode11Addon } from "@xterm/addon-unicode11";
export { WebLinksAddon } from "@xterm/addon-web-links";

/** Draws by the graphics card; some browsers have none. */
export const webgl = () => import("@xterm/addon-webgl");
