// Who is signed in, for every component.
import type { Session } from "@supabase/auth-js";
import { useQueryClient } from "@tanstack/react-query";
import { createContext, use, useEffect, useRef, useState, type ReactNode } from "react";
import { ApiError, askJson } from "../api/client.ts";
import { holdKey } from "../pages/playground/held-key.ts";
import { authClient } from "./auth.ts";

export type SessionState =
  | { state: "loading" }
  | { state: "failed"; retry: () => void }
  | { state: "closed" }
  | { state: "out" }
  | { state: "in"; session: Session };

const Context = createContext<SessionState>({ state: "loading" });

/** The state of sign-in; `closed` where the gateway has no sign-in service. */
export const useSession = () => use(Context);

export function SessionProvider({ children }: { children: ReactNode }) {
  const [state, setState] = useState<SessionState>({ state: "loading" });
  const [attempt, setAttempt] = useState(0);
  const queries = useQueryClient();
  const userId = useRef<string | null>(null);

  useEffect(() => {
    let isOver = false;
    let end = () => {};
    const watch = async () => {
      const auth = await authClient();
      if (isOver) return;
      if (!auth) return setState({ state: "closed" });
      const { data } = auth.onAuthStateChange((_event, session) => {
        setState(session ? { state: "in", session } : { state: "out" });
        const before = userId.current;
        userId.current = session?.user.id ?? null;
        // What was shown to one user is never shown to the next, nor is the key of the playground lent on.
        if (session && (before === null || before === session.user.id)) return;
        holdKey(null);
        const own = { predicate: ({ queryKey }: { queryKey: readonly unknown[] }) => queryKey[0] !== "public" };
        // Another user in the place of this one asks everything anew, and the pages begin anew with the account.
        if (session) void queries.resetQueries(own);
        else queries.removeQueries(own);
      });
      end = () => data.subscription.unsubscribe();
    };
    watch().catch(() => {
      if (!isOver) setState({ state: "failed", retry: () => setAttempt((count) => count + 1) });
    });
    return () => {
      isOver = true;
      end();
    };
  }, [attempt, queries]);

  return <Context value={state}>{children}</Context>;
}

let isEndingAll = false;

/** Ends this session, on this device. */
export async function signOut(): Promise<void> {
  // What is refused while all sessions are ended must not end this one alone first: the others would go on.
  if (isEndingAll) return;
  await (await authClient())?.signOut({ scope: "local" });
}

/**
 * Ends every session: the gateway refuses the tokens that were issued until now, and the sign-in service ends the refresh
 * tokens, which could make new ones. Throws where one of the two did not, and can be called again.
 */
export async function signOutEverywhere(): Promise<void> {
  isEndingAll = true;
  try {
    await askJson("/console/api/sessions", { method: "DELETE" }).catch((error: unknown) => {
      // A first call has ended this session at the gateway, and failed at the sign-in service.
      if (!(error instanceof ApiError && error.status === 401)) throw error;
    });
    const ended = await (await authClient())?.signOut({ scope: "global" });
    if (ended?.error)
      throw new Error(
        "Your sessions are refused from now on, but the sign-in service did not end them: a device could renew its own. Try again.",
      );
  } finally {
    isEndingAll = false;
  }
}
