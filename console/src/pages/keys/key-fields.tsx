import type { Period, Permission } from "../../api/types.ts";
import { SelectField, TextArea, TextField } from "../../ui/field.tsx";
import type { KeyForm, Wrong } from "./form.ts";

const PERMISSIONS: [Permission, string, string][] = [
  ["inference", "Run models", "Send requests and list models."],
  ["account:read", "Read the account", "See balance, usage and keys."],
  ["keys:write", "Manage keys", "Make, change and end keys that can do no more than itself."],
];

const PERIODS: [Period, string][] = [
  ["daily", "a day"],
  ["weekly", "a week, from Monday"],
  ["monthly", "a month"],
  ["total", "in all"],
];

const ENDS: [string, string][] = [
  ["never", "Never"],
  ["1", "In a day"],
  ["7", "In 7 days"],
  ["30", "In 30 days"],
  ["90", "In 90 days"],
  ["own", "At a time of your own"],
];

interface Props {
  form: KeyForm;
  wrong: Wrong;
  /** Permissions of a key never change. */
  isEdit: boolean;
  change: (part: Partial<KeyForm>) => void;
}

export function KeyFields({ form, wrong, isEdit, change }: Props) {
  return (
    <>
      <TextField
        label="Name"
        placeholder="Production backend"
        maxLength={100}
        autoComplete="off"
        value={form.name}
        wrong={wrong.name}
        onText={(name) => change({ name })}
      />
      <div className="row-fields">
        <TextField
          label="Budget"
          prefix="$"
          inputMode="decimal"
          placeholder="No limit"
          autoComplete="off"
          value={form.budget}
          wrong={wrong.budget}
          hint="Periods begin at 00:00 UTC."
          onText={(budget) => change({ budget })}
        />
        <SelectField
          label="For"
          options={PERIODS}
          value={form.period}
          onText={(period) => change({ period: period as Period })}
        />
      </div>
      <div className="row-fields">
        <SelectField
          label="Ends"
          options={ENDS}
          value={form.ends}
          wrong={form.ends === "own" ? null : wrong.endsAt}
          onText={(ends) => change({ ends })}
        />
        {form.ends === "own" && (
          <TextField
            label="At"
            type="datetime-local"
            value={form.endsAt}
            hint="In the time of this device."
            wrong={wrong.endsAt}
            onText={(endsAt) => change({ endsAt })}
          />
        )}
      </div>
      {!isEdit && <Permissions form={form} wrong={wrong} change={change} />}
      <details className="more-limits" open={hasMore(form, wrong) || undefined}>
        <summary>Rate, models and addresses</summary>
        <div className="stack">
          <div className="row-fields">
            <TextField
              label="Requests a minute"
              inputMode="numeric"
              placeholder="No limit"
              autoComplete="off"
              value={form.perMinute}
              wrong={wrong.perMinute}
              onText={(perMinute) => change({ perMinute })}
            />
            <TextField
              label="Requests at once"
              inputMode="numeric"
              placeholder="No limit"
              autoComplete="off"
              value={form.atOnce}
              wrong={wrong.atOnce}
              onText={(atOnce) => change({ atOnce })}
            />
          </div>
          <TextArea
            label="Models"
            rows={3}
            spellCheck={false}
            placeholder={"gpt-4o\nclaude-*"}
            hint="One a line; * stands for anything. Empty: every model."
            value={form.models}
            wrong={wrong.models}
            onText={(models) => change({ models })}
          />
          <TextArea
            label="Addresses"
            rows={3}
            spellCheck={false}
            placeholder={"203.0.113.0/24\n2001:db8::/32"}
            hint="Where requests may come from, one a line. Empty: anywhere."
            value={form.addresses}
            wrong={wrong.addresses}
            onText={(addresses) => change({ addresses })}
          />
        </div>
      </details>
    </>
  );
}

function Permissions({ form, wrong, change }: Omit<Props, "isEdit">) {
  const toggle = (permission: Permission, isOn: boolean) =>
    change({
      permissions: isOn ? [...form.permissions, permission] : form.permissions.filter((other) => other !== permission),
    });
  return (
    <fieldset className="stack tight">
      <legend className="field">
        <span className="label">It may</span>
      </legend>
      {PERMISSIONS.map(([permission, label, meaning]) => (
        <label key={permission} className="check">
          <input
            type="checkbox"
            checked={form.permissions.includes(permission)}
            onChange={(event) => toggle(permission, event.target.checked)}
          />
          <span>
            {label} <span className="muted small">{meaning}</span>
          </span>
        </label>
      ))}
      {wrong.permissions && (
        <span className="field" role="alert">
          <span className="wrong">{wrong.permissions}</span>
        </span>
      )}
    </fieldset>
  );
}

const hasMore = (form: KeyForm, wrong: Wrong) =>
  Boolean(
    form.perMinute ||
      form.atOnce ||
      form.models ||
      form.addresses ||
      wrong.perMinute ||
      wrong.atOnce ||
      wrong.models ||
      wrong.addresses,
  );
