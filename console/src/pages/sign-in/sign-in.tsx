import "./sign-in.css";
import { useQuery } from "@tanstack/react-query";
import { configQuery } from "../../api/queries.ts";
import { useSession } from "../../auth/session.tsx";
import { Code } from "../../ui/copy.tsx";
import { Icon } from "../../ui/icon.tsx";
import { Empty, Failed, SkeletonRows } from "../../ui/states.tsx";
import { useEffect } from "react";
import { SignInForm } from "./form.tsx";

const POINTS = [
  "OpenAI's and Anthropic's APIs, every model behind both",
  "A request costs what the model's price says, to the nano-dollar, and no more than your balance",
  "Budgets, rate limits and an end for each key",
];

export default function SignIn() {
  useEffect(() => {
    document.title = "Sign in · One Interface";
  }, []);
  return (
    <div className="welcome">
      <section className="pitch" aria-label="One Interface">
        <h1>Every model. One API, one key, one balance.</h1>
        <p>Keep the SDK that you use. Change its base URL, and ask for any model by its name.</p>
        <Code what="the base URL" text={`base_url = "${location.origin}/v1"`} />
        <ul className="points">
          {POINTS.map((point) => (
            <li key={point}>
              <Icon name="check" />
              {point}
            </li>
          ))}
        </ul>
      </section>
      <section className="card sign-in" aria-label="Sign in">
        <Gate />
      </section>
    </div>
  );
}

function Gate() {
  const session = useSession();
  const config = useQuery(configQuery());
  if (session.state === "failed")
    return <Failed error={new Error("The sign-in service could not be reached.")} retry={session.retry} />;
  if (config.error) return <Failed error={config.error} retry={() => void config.refetch()} />;
  if (!config.data || session.state === "loading") return <SkeletonRows rows={6} height={38} />;
  if (session.state === "closed") {
    return (
      <Empty icon="key" title="Sign-in is not set up">
        This gateway has no sign-in service. Its operator names one with SUPABASE_URL; API keys work without it.
      </Empty>
    );
  }
  return <SignInForm providers={config.data.oauth_providers} />;
}
