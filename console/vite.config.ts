// The console as static files: every page is a chunk of its own, names carry a hash of the content.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// In development the API is a gateway that runs beside (`npm start`).
const GATEWAY = process.env.GATEWAY_URL ?? "http://127.0.0.1:8787";

export default defineConfig({
  plugins: [react()],
  // Nothing is inlined: the content security policy allows no `data:` script, style or font.
  build: { target: "es2023", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { host: "127.0.0.1", proxy: { "/v1": GATEWAY, "/console/api": GATEWAY } },
});
