// After a deployment a page that is open asks for files that are gone. It is loaded anew, once in a while at most, so
// that a file that cannot be had for another reason does not make it load for ever.
const KEY = "renewed-at";
const AT_MOST_EVERY_MS = 30_000;

export function renewWhenOutdated() {
  window.addEventListener("vite:preloadError", (event) => {
    const before = Number(sessionStorage.getItem(KEY) ?? 0);
    if (Date.now() - before < AT_MOST_EVERY_MS) return; // the page says that it failed
    sessionStorage.setItem(KEY, String(Date.now()));
    event.preventDefault();
    location.reload();
  });
}
