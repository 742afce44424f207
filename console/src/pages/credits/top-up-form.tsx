import { useMutation } from "@tanstack/react-query";
import { useEffect, useId, useState, type FormEvent } from "react";
import { askJson } from "../../api/client.ts";
import { parseUsd, readUsd, showUsd } from "../../lib/usd.ts";
import { Button } from "../../ui/button.tsx";
import { TextField } from "../../ui/field.tsx";
import { messageOf } from "../../ui/states.tsx";

const PRESETS = ["10", "25", "50", "100"];
const LEAST = "5";
const MOST = "5000";

/** Leads to the payment page for an amount in whole cents. */
export function TopUpForm() {
  const name = useId();
  const [preset, setPreset] = useState("25");
  const [own, setOwn] = useState("");
  const [save, setSave] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const pay = useMutation({
    mutationFn: (amount_usd: string) =>
      askJson<{ id: string; checkout_url: string }>("/console/api/topups", {
        method: "POST",
        body: { amount_usd, ...(save && { save_method: true }) },
      }),
    onSuccess: ({ checkout_url }) => {
      // It is the gateway's word, but an address of another kind would run as a script here.
      if (/^https?:/.test(checkout_url)) location.assign(checkout_url);
    },
  });
  const { reset } = pay;
  useEffect(() => {
    // Going back from the payment page may bring this page as it was left, with the button busy.
    const again = ({ persisted }: PageTransitionEvent) => persisted && reset();
    addEventListener("pageshow", again);
    return () => removeEventListener("pageshow", again);
  }, [reset]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const amount = preset === "own" ? readUsd(own, 2) : preset;
    const isIn = amount !== null && parseUsd(amount) >= parseUsd(LEAST) && parseUsd(amount) <= parseUsd(MOST);
    setWrong(isIn ? null : `Between ${showUsd(LEAST)} and ${showUsd(MOST)}, in whole cents.`);
    if (isIn) pay.mutate(amount);
  };
  return (
    <form className="body stack" onSubmit={submit} noValidate>
      <fieldset className="presets">
        <legend className="hidden-visually">Amount</legend>
        {PRESETS.map((amount) => (
          <label key={amount}>
            <input type="radio" name={name} checked={preset === amount} onChange={() => setPreset(amount)} />${amount}
          </label>
        ))}
      </fieldset>
      <TextField
        label="Another amount"
        prefix="$"
        inputMode="decimal"
        autoComplete="off"
        placeholder="5 to 5,000"
        value={own}
        wrong={wrong}
        onText={(text) => {
          setOwn(text);
          setPreset(text.trim() === "" ? "25" : "own");
        }}
      />
      <label className="check">
        <input type="checkbox" checked={save} onChange={(event) => setSave(event.target.checked)} />
        <span>Keep the payment method, for automatic top-ups</span>
      </label>
      {pay.error && (
        <p className="notice danger" role="alert">
          {messageOf(pay.error)}
        </p>
      )}
      <Button type="submit" look="primary" size="wide" busy={pay.isPending || pay.isSuccess}>
        {pay.isSuccess ? "Opening the payment page" : "Continue to payment"}
      </Button>
      <p className="small muted">You pay on Stripe's page. The credit is there when Stripe says that the money came.</p>
    </form>
  );
}
