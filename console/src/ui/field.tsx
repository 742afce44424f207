import {
  useId,
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
} from "react";

interface FieldProps {
  label: string;
  hint?: ReactNode;
  /** What is wrong with it, if something is. */
  wrong?: string | null | undefined;
}

interface Wired {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
}

function Field({ label, hint, wrong, children }: FieldProps & { children: (wired: Wired) => ReactNode }) {
  const id = useId();
  const described = wrong ? `${id}-wrong` : hint ? `${id}-hint` : undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-describedby": described, "aria-invalid": wrong ? true : undefined })}
      {wrong ? (
        <span id={`${id}-wrong`} className="wrong" role="alert">
          {wrong}
        </span>
      ) : (
        hint && (
          <span id={`${id}-hint`} className="hint">
            {hint}
          </span>
        )
      )}
    </div>
  );
}

interface InputProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "onChange" | "prefix">, FieldProps {
  prefix?: string;
  onText: (text: string) => void;
}

/** A line of text with its label. */
export function TextField({ label, hint, wrong, prefix, onText, ...rest }: InputProps) {
  return (
    <Field label={label} hint={hint} wrong={wrong}>
      {(wired) => {
        const input = <input className="input" {...wired} {...rest} onChange={(event) => onText(event.target.value)} />;
        if (!prefix) return input;
        return (
          <div className="prefixed">
            <span aria-hidden="true">{prefix}</span>
            {input}
          </div>
        );
      }}
    </Field>
  );
}

interface AreaProps extends Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, "onChange">, FieldProps {
  onText: (text: string) => void;
}

/** Several lines of text with their label. */
export function TextArea({ label, hint, wrong, onText, ...rest }: AreaProps) {
  return (
    <Field label={label} hint={hint} wrong={wrong}>
      {(wired) => <textarea className="input" {...wired} {...rest} onChange={(event) => onText(event.target.value)} />}
    </Field>
  );
}

interface SelectProps extends Omit<SelectHTMLAttributes<HTMLSelectElement>, "onChange">, FieldProps {
  options: readonly (readonly [value: string, label: string])[];
  onText: (value: string) => void;
}

/** The browser's own list of choices, which is at home on every device. */
export function SelectField({ label, hint, wrong, options, onText, ...rest }: SelectProps) {
  return (
    <Field label={label} hint={hint} wrong={wrong}>
      {(wired) => (
        <select className="input" {...wired} {...rest} onChange={(event) => onText(event.target.value)}>
          {options.map(([value, shown]) => (
            <option key={value} value={value}>
              {shown}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface ChoicesProps<Value extends string> {
  label: string;
  options: readonly (readonly [Value, string])[];
  value: Value;
  onChange: (value: Value) => void;
}

/** A few choices side by side, of which one holds. */
export function Choices<Value extends string>({ label, options, value, onChange }: ChoicesProps<Value>) {
  const name = useId();
  return (
    <fieldset className="choices">
      <legend className="hidden-visually">{label}</legend>
      {options.map(([option, shown]) => (
        <label key={option}>
          <input type="radio" name={name} value={option} checked={option === value} onChange={() => onChange(option)} />
          {shown}
        </label>
      ))}
    </fieldset>
  );
}
