// E-mail and password, a link by mail, or a provider. Which address has an account is not told to anybody.
import type { Provider } from "@supabase/auth-js";
import { useState, type FormEvent } from "react";
import { authClient, callbackUrl, type Auth } from "../../auth/auth.ts";
import { Button } from "../../ui/button.tsx";
import { TextField } from "../../ui/field.tsx";
import { Icon } from "../../ui/icon.tsx";
import { explain } from "./explain.ts";

type Way = "in" | "up" | "link";

const TITLES: Record<Way, string> = { in: "Sign in", up: "Create your account", link: "Sign in by a link" };
const ACTIONS: Record<Way, string> = { in: "Sign in", up: "Create account", link: "Send the link" };

export function SignInForm({ providers }: { providers: string[] }) {
  const [way, setWay] = useState<Way>("in");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const [sent, setSent] = useState(false);

  const attempt = async (work: (auth: Auth) => Promise<{ error: unknown }>) => {
    setBusy(true);
    setFailure(null);
    try {
      const auth = await authClient();
      const { error } = auth ? await work(auth) : { error: null };
      if (error) setFailure(explain(error));
    } catch (error) {
      setFailure(explain(error));
    } finally {
      setBusy(false);
    }
  };

  const submit = (event: FormEvent) => {
    event.preventDefault();
    void attempt(async (auth) => {
      if (way === "in") return auth.signInWithPassword({ email, password });
      if (way === "up") {
        const { data, error } = await auth.signUp({ email, password, options: { emailRedirectTo: callbackUrl() } });
        // Without a session the address has to be confirmed first.
        if (!error && !data.session) setSent(true);
        return { error };
      }
      const { error } = await auth.signInWithOtp({ email, options: { emailRedirectTo: callbackUrl() } });
      if (!error) setSent(true);
      return { error };
    });
  };

  const byProvider = (provider: string) =>
    void attempt((auth) =>
      auth.signInWithOAuth({ provider: provider as Provider, options: { redirectTo: callbackUrl() } }),
    );

  const change = (next: Way) => {
    setWay(next);
    setFailure(null);
    setSent(false);
  };

  if (sent) return <Sent email={email} onBack={() => change("in")} />;
  const usesPassword = way === "in" || way === "up";
  return (
    <form className="stack" onSubmit={submit}>
      <h2>{TITLES[way]}</h2>
      {providers.map((provider) => (
        <Button key={provider} size="wide" disabled={busy} onClick={() => byProvider(provider)}>
          Continue with {nameOf(provider)}
        </Button>
      ))}
      {providers.length > 0 && <p className="or">or by e-mail</p>}
      <TextField label="E-mail" type="email" autoComplete="email" required value={email} onText={setEmail} />
      {usesPassword && (
        <TextField
          label="Password"
          type="password"
          autoComplete={way === "up" ? "new-password" : "current-password"}
          required
          minLength={way === "up" ? 8 : undefined}
          hint={way === "up" ? "At least 8 characters." : undefined}
          value={password}
          onText={setPassword}
        />
      )}
      {failure && (
        <p className="notice danger" role="alert">
          <Icon name="alert" />
          {failure}
        </p>
      )}
      <Button type="submit" look="primary" size="wide" busy={busy}>
        {ACTIONS[way]}
      </Button>
      {usesPassword && (
        <Button look="quiet" size="wide" icon="mail" onClick={() => change("link")}>
          E-mail me a link instead
        </Button>
      )}
      <p className="switchover">
        {way === "in" ? "No account yet? " : way === "up" ? "You have an account? " : "You know your password? "}
        <button type="button" onClick={() => change(way === "in" ? "up" : "in")}>
          {way === "in" ? "Create one" : "Sign in"}
        </button>
      </p>
    </form>
  );
}

function Sent({ email, onBack }: { email: string; onBack: () => void }) {
  return (
    <div className="stack" role="status">
      <h2>Look into your mail</h2>
      <p>
        A link is on its way to <strong>{email}</strong>. Open it in this browser: it works nowhere else, and once.
      </p>
      <Button onClick={onBack}>Back to sign-in</Button>
    </div>
  );
}

function nameOf(provider: string) {
  const names: Record<string, string> = { github: "GitHub", gitlab: "GitLab", linkedin_oidc: "LinkedIn" };
  return names[provider] ?? provider.charAt(0).toUpperCase() + provider.slice(1);
}
