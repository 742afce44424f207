// The theme that was chosen on this device, if one was, before the first paint. See src/shell/theme.ts.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage can be closed to pages; the system's theme holds then.
}
