import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/surfaces.css";
import "./styles/shell.css";
import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client.ts";
import { App } from "./app.tsx";
import { SessionProvider, signOut } from "./auth/session.tsx";
import { renewWhenOutdated } from "./lib/renew.ts";
import { Toasts } from "./ui/toast.tsx";

renewWhenOutdated();

const queries = new QueryClient({
  queryCache: new QueryCache({
    // A session that the gateway refuses has been ended elsewhere.
    onError: (error) => {
      if (error instanceof ApiError && error.status === 401) void signOut();
    },
  }),
  defaultOptions: {
    queries: {
      // A refusal is not asked again; a gateway that cannot be reached is.
      retry: (failures, error) =>
        failures < 2 && (!(error instanceof ApiError) || error.status === 0 || error.status >= 500),
      staleTime: 10_000,
    },
  },
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <Toasts>
          <SessionProvider>
            <App />
          </SessionProvider>
        </Toasts>
      </QueryClientProvider>
    </StrictMode>,
  );
}
