import * as Switch from "@radix-ui/react-switch";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { askJson } from "../../api/client.ts";
import { autoTopUpQuery } from "../../api/queries.ts";
import type { AutoTopUp } from "../../api/types.ts";
import { showTime } from "../../lib/time.ts";
import { parseUsd, readUsd, showUsd } from "../../lib/usd.ts";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { TextField } from "../../ui/field.tsx";
import { Icon } from "../../ui/icon.tsx";
import { Loaded, messageOf, SkeletonRows } from "../../ui/states.tsx";
import { useToast } from "../../ui/toast.tsx";

/** Credit that comes by itself before the balance runs out. */
export function AutoTopUpCard() {
  const auto = useQuery(autoTopUpQuery());
  return (
    <section className="card" aria-labelledby="auto">
      <header>
        <h2 id="auto">Automatic top-up</h2>
      </header>
      <Loaded query={auto} loading={<SkeletonRows rows={5} height={40} />}>
        {(settings) => (
          <>
            {settings.attempt && <InFlight attempt={settings.attempt} />}
            <AutoForm key={formKey(settings)} settings={settings} />
          </>
        )}
      </Loaded>
    </section>
  );
}

/** A payment in flight, and the way to end it. */
function InFlight({ attempt }: { attempt: NonNullable<AutoTopUp["attempt"]> }) {
  const queries = useQueryClient();
  const say = useToast();
  const cancel = useMutation({
    mutationFn: () => askJson<AutoTopUp>("/console/api/topups/auto/attempt", { method: "DELETE" }),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["topups", "auto"] });
      say("The top-up is cancelled.");
    },
  });
  return (
    <div className="notice">
      <p>
        {showUsd(attempt.amount_usd)}, begun {showTime(attempt.began_at)}: {IN_FLIGHT[attempt.status]}
      </p>
      {attempt.status !== "withdrawn" && (
        <Button look="quiet" size="compact" busy={cancel.isPending} onClick={() => cancel.mutate()}>
          Cancel this top-up
        </Button>
      )}
      {cancel.error && <p role="alert">{messageOf(cancel.error)}</p>}
    </div>
  );
}

/** The form begins anew when what it asks for has changed, not when money was spent meanwhile. */
const formKey = ({ enabled, threshold_usd, amount_usd, monthly_cap_usd, method, stopped }: AutoTopUp) =>
  JSON.stringify([enabled, threshold_usd, amount_usd, monthly_cap_usd, method, stopped]);

type Fields = Pick<AutoTopUp, "threshold_usd" | "amount_usd" | "monthly_cap_usd">;

const STOPS: Record<string, string> = {
  declined: "the card was declined",
  authentication_required: "the bank wants you to confirm each payment",
  method_unusable: "the payment method cannot be used any more",
  disputed: "a payment was disputed",
  cancelled: "you cancelled a top-up",
};

const IN_FLIGHT: Record<NonNullable<AutoTopUp["attempt"]>["status"], string> = {
  waiting: "your card has not been charged yet.",
  charging: "your card is being charged.",
  withdrawn: "withdrawn. If your card was charged before that, the amount will be added to your balance.",
};

const FIELDS: [keyof Fields, string, string][] = [
  ["threshold_usd", "When below", "10"],
  ["amount_usd", "Add", "25"],
  ["monthly_cap_usd", "At most a month", "200"],
];

function AutoForm({ settings }: { settings: AutoTopUp }) {
  const queries = useQueryClient();
  const say = useToast();
  const [enabled, setEnabled] = useState(settings.enabled && Boolean(settings.method));
  const [lacksMethod, setLacksMethod] = useState(false);
  const [isAsking, setAsking] = useState(false);
  const [typed, setTyped] = useState<Fields>({
    threshold_usd: shownOr(settings.threshold_usd, "10"),
    amount_usd: shownOr(settings.amount_usd, "25"),
    monthly_cap_usd: shownOr(settings.monthly_cap_usd, "200"),
  });
  const [wrong, setWrong] = useState<Partial<Fields>>({});
  const done = (text: string) => () => {
    void queries.invalidateQueries({ queryKey: ["topups", "auto"] });
    say(text);
  };
  const save = useMutation({
    mutationFn: (body: Fields & { enabled: boolean }) =>
      askJson<AutoTopUp>("/console/api/topups/auto", { method: "PUT", body }),
    onSuccess: done("Automatic top-up is saved."),
  });
  const forget = useMutation({
    mutationFn: () => askJson("/console/api/topups/method", { method: "DELETE" }),
    onSuccess: () => {
      setAsking(false);
      done("The payment method is forgotten.")();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const problems: Partial<Fields> = {};
    const body = { ...typed, enabled };
    for (const [name] of FIELDS) {
      const usd = readUsd(typed[name], 2);
      if (usd === null || parseUsd(usd) === 0n) problems[name] = "An amount in whole cents.";
      else body[name] = usd;
    }
    const [threshold, amount] = [readUsd(typed.threshold_usd, 2), readUsd(typed.amount_usd, 2)];
    if (enabled && threshold && amount && parseUsd(threshold) > parseUsd(amount)) {
      problems.threshold_usd = "Not above the amount that is added.";
    }
    setWrong(problems);
    const isWithout = enabled && !settings.method;
    setLacksMethod(isWithout);
    if (!isWithout && Object.keys(problems).length === 0) save.mutate(body);
  };
  const { method, stopped } = settings;
  const refusesWithout = lacksMethod && enabled;
  return (
    <form className="body stack auto" onSubmit={submit} noValidate>
      <div className="switch-row">
        <label htmlFor="auto-enabled">Top up before the balance runs out</label>
        <Switch.Root id="auto-enabled" className="switch" checked={enabled} onCheckedChange={setEnabled}>
          <Switch.Thumb />
        </Switch.Root>
      </div>
      {settings.enabled && !method && !stopped && (
        <p className="notice warn">
          <Icon name="alert" />
          Nothing is topped up: it was switched on, but there is no kept payment method. It goes on by itself when you
          keep one; save it switched off if it shall not.
        </p>
      )}
      {stopped && (
        <p className="notice danger">
          <Icon name="alert" />
          Stopped {showTime(stopped.at)}: {STOPS[stopped.reason] ?? stopped.reason}.{" "}
          {stopped.reason === "cancelled"
            ? "Save this again to go on."
            : "Add credit with another card and keep it, then save this again."}
        </p>
      )}
      <div className="row-fields">
        {FIELDS.map(([name, label, example]) => (
          <TextField
            key={name}
            label={label}
            prefix="$"
            inputMode="decimal"
            autoComplete="off"
            placeholder={example}
            value={typed[name]}
            wrong={wrong[name]}
            onText={(text) => setTyped((before) => ({ ...before, [name]: text }))}
          />
        ))}
      </div>
      <p className="small muted">
        {method ? (
          <>
            Charged to {method.brand} ending in {method.last4}. Automatic top-ups of this month (UTC):{" "}
            {showUsd(settings.spent_this_month_usd)}, one that is on its way included.{" "}
            <Button look="quiet" size="compact" onClick={() => setAsking(true)}>
              Forget the card
            </Button>
            <Confirm
              title={`Forget the card ending in ${method.last4}?`}
              description="Nothing is charged to it from then on, so there are no automatic top-ups until you keep a payment method again."
              action="Forget it"
              busy={forget.isPending}
              failure={forget.error && messageOf(forget.error)}
              open={isAsking}
              onClose={() => setAsking(false)}
              onConfirm={() => forget.mutate()}
            />
          </>
        ) : (
          "There is no kept payment method yet: keep one with your next top-up."
        )}
      </p>
      {(refusesWithout || save.error) && (
        <p className="notice danger" role="alert">
          {refusesWithout
            ? "It cannot be switched on without a kept payment method: keep one with your next top-up."
            : messageOf(save.error)}
        </p>
      )}
      <div className="actions">
        <Button type="submit" busy={save.isPending}>
          Save
        </Button>
      </div>
    </form>
  );
}

const shownOr = (usd: string | null, fallback: string) => (usd && parseUsd(usd) > 0n ? usd : fallback);
