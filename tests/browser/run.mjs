// The browser suite: Debian's chromium, driven by playwright-core.
import { existsSync } from "node:fs";
import { LeftOut } from "../left-out.mjs";

/** Where Debian, and most other systems, have it. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The path of the browser; throws `LeftOut` where there is none. */
export function chromium() {
  const found = PLACES.find((place) => existsSync(place));
  if (!found) throw new LeftOut("chromium was not found (Debian: apt-get install chromium)");
  return found;
}
