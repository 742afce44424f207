// Where a link of a mail, or a provider, leads back to: the code in the address is redeemed, and leaves it.
import { useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { authClient } from "../../auth/auth.ts";
import { PublicFrame } from "../../shell/public-frame.tsx";
import { PagePlace } from "../../shell/page.tsx";
import { Empty } from "../../ui/states.tsx";
import { explain, explainAddress } from "./explain.ts";

// A code works once, and React calls effects twice in development.
let redeeming: Promise<string | null> | undefined;

async function redeem(): Promise<string | null> {
  const params = new URLSearchParams(location.search);
  // Failures come in the fragment as well.
  const hash = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, "", "/auth/callback");
  const code = params.get("error_code") ?? hash.get("error_code") ?? params.get("error") ?? hash.get("error");
  if (code !== null) return explainAddress(code);
  const given = params.get("code");
  if (!given) return "The address holds no code. Sign in again.";
  const auth = await authClient();
  if (!auth) return "This gateway has no sign-in service.";
  const { error } = await auth.exchangeCodeForSession(given);
  return error ? explain(error) : null;
}

export default function Callback() {
  const [failure, setFailure] = useState<string | null>(null);
  const [, go] = useLocation();
  useEffect(() => {
    redeeming ??= redeem().catch(explain);
    void redeeming.then((problem) => {
      redeeming = undefined;
      if (problem === null) go("/", { replace: true });
      else setFailure(problem);
    });
  }, [go]);
  return (
    <PublicFrame>
      {failure === null ? (
        <PagePlace />
      ) : (
        <div className="card" role="alert">
          <Empty
            icon="alert"
            title="You could not be signed in"
            action={
              <Link href="/" className="button primary">
                Back to sign-in
              </Link>
            }
          >
            {failure}
          </Empty>
        </div>
      )}
    </PublicFrame>
  );
}
