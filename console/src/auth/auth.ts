// Sign-in by Supabase, with their own client. The session is kept in the browser's storage by it, and tokens are never in a
// URL: with PKCE what comes back in an address is a code that only this browser can redeem.
import { AuthClient, type Session } from "@supabase/auth-js";
import { fetchConfig } from "../api/config.ts";

export type Auth = InstanceType<typeof AuthClient>;

let client: Promise<Auth | null> | undefined;

/** The client of the sign-in service; `null` where the gateway has none. */
export function authClient(): Promise<Auth | null> {
  client ??= make().catch((error: unknown) => {
    client = undefined; // the next caller tries again
    throw error;
  });
  return client;
}

async function make(): Promise<Auth | null> {
  const config = await fetchConfig();
  if (!config.supabase_url) return null;
  const apikey = config.supabase_anon_key;
  return new AuthClient({
    url: `${config.supabase_url.replace(/\/+$/, "")}/auth/v1`,
    // Spelled as the client spells it, which puts the session's token in its place.
    headers: apikey ? { apikey, Authorization: `Bearer ${apikey}` } : {},
    storageKey: "oneinterface-session",
    flowType: "pkce",
    autoRefreshToken: true,
    persistSession: true,
    // The page at /auth/callback redeems the code, and says what went wrong.
    detectSessionInUrl: false,
  });
}

/** The session, refreshed where it was about to end; `null` when signed out. */
export async function currentSession(): Promise<Session | null> {
  const auth = await authClient();
  if (!auth) return null;
  const { data, error } = await auth.getSession();
  if (error) throw error;
  return data.session;
}

/** The bearer token of this moment; `null` when signed out. */
export async function accessToken(): Promise<string | null> {
  return (await currentSession())?.access_token ?? null;
}

/** Where a link of a mail, or a provider, leads back to. */
export const callbackUrl = () => `${location.origin}/auth/callback`;
