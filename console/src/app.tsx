// Which page an address shows, with a session and without.
import { lazy, Suspense, useEffect, type ReactNode } from "react";
import { Redirect, Route, Switch, useLocation } from "wouter";
import { useSession } from "./auth/session.tsx";
import { NotFound } from "./pages/not-found.tsx";
import { PagePlace } from "./shell/page.tsx";
import { PublicFrame } from "./shell/public-frame.tsx";
import { Shell } from "./shell/shell.tsx";
import { ErrorBoundary } from "./ui/error-boundary.tsx";

const Overview = lazy(() => import("./pages/overview/overview.tsx"));
const Keys = lazy(() => import("./pages/keys/keys.tsx"));
const Usage = lazy(() => import("./pages/usage/usage.tsx"));
const Credits = lazy(() => import("./pages/credits/credits.tsx"));
const Models = lazy(() => import("./pages/models/models.tsx"));
const Docs = lazy(() => import("./pages/docs/docs.tsx"));
const Settings = lazy(() => import("./pages/settings/settings.tsx"));
const Playground = lazy(() => import("./pages/playground/playground.tsx"));
const SignIn = lazy(() => import("./pages/sign-in/sign-in.tsx"));
const Callback = lazy(() => import("./pages/sign-in/callback.tsx"));

/** What belongs to an account. */
const PRIVATE = ["/keys", "/usage", "/credits", "/settings", "/playground"];

/** Whether a session was kept, so that the frame is right before sign-in has been asked. */
function hasKeptSession(): boolean {
  try {
    return localStorage.getItem("oneinterface-session") !== null;
  } catch {
    return false;
  }
}

export function App() {
  const { state } = useSession();
  const [path] = useLocation();
  useTop(path);
  if (path === "/auth/callback")
    return (
      <Waiting>
        <Callback />
      </Waiting>
    );
  const isIn = state === "in" || (state === "loading" && hasKeptSession());
  return isIn ? <SignedIn isReady={state === "in"} /> : <SignedOut />;
}

function SignedIn({ isReady }: { isReady: boolean }) {
  return (
    <Shell isReady={isReady}>
      <Waiting>
        <Switch>
          <Route path="/" component={Overview} />
          <Route path="/keys" component={Keys} />
          <Route path="/usage" component={Usage} />
          <Route path="/credits" component={Credits} />
          <Route path="/models" component={Models} />
          <Route path="/docs" component={Docs} />
          <Route path="/settings" component={Settings} />
          <Route path="/playground" component={Playground} />
          <Route path="/sign-in">
            <Redirect to="/" replace />
          </Route>
          <Route component={NotFound} />
        </Switch>
      </Waiting>
    </Shell>
  );
}

function SignedOut() {
  return (
    <PublicFrame>
      <Waiting>
        <Switch>
          <Route path="/models" component={Models} />
          <Route path="/docs" component={Docs} />
          {["/", "/sign-in", ...PRIVATE].map((path) => (
            <Route key={path} path={path} component={SignIn} />
          ))}
          <Route component={NotFound} />
        </Switch>
      </Waiting>
    </PublicFrame>
  );
}

/** The place of a page whose code is on its way. */
function Waiting({ children }: { children: ReactNode }) {
  const [path] = useLocation();
  return (
    <ErrorBoundary of={path}>
      <Suspense fallback={<PagePlace />}>{children}</Suspense>
    </ErrorBoundary>
  );
}

/** A new page begins at its top, and is where the keyboard is. */
function useTop(path: string) {
  useEffect(() => {
    if (location.hash !== "") return;
    window.scrollTo(0, 0);
  }, [path]);
}
