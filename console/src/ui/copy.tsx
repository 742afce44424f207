import { useEffect, useState } from "react";
import { Button } from "./button.tsx";

const SHOWN_MS = 1_600;

/** Whether something was copied just now, and the function that copies. */
function useCopy(): [boolean, (text: string) => void] {
  const [copied, setCopied] = useState(0);
  useEffect(() => {
    if (copied === 0) return;
    const timer = setTimeout(() => setCopied(0), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = (text: string) => {
    void navigator.clipboard.writeText(text).then(() => setCopied((count) => count + 1));
  };
  return [copied > 0, copy];
}

interface Props {
  text: string;
  /** What it is, for the button's name: "Copy the key". */
  what: string;
  /** With words on it, not the icon alone. */
  worded?: boolean;
  look?: "primary";
}

/** Copies a text and says that it did. */
export function CopyButton({ text, what, worded = false, look }: Props) {
  const [copied, copy] = useCopy();
  return (
    <>
      <Button
        size="compact"
        look={look ?? (worded ? undefined : "quiet")}
        icon={copied ? "check" : "copy"}
        aria-label={worded ? undefined : `Copy ${what}`}
        title={`Copy ${what}`}
        onClick={() => copy(text)}
      >
        {worded ? (copied ? "Copied" : `Copy ${what}`) : undefined}
      </Button>
      <span role="status" className="hidden-visually">
        {copied ? `Copied ${what}` : ""}
      </span>
    </>
  );
}

/** Code with a button that copies it. */
export function Code({ text, what = "the code", caption }: { text: string; what?: string; caption?: string }) {
  return (
    <figure className="code">
      {caption && <figcaption>{caption}</figcaption>}
      {/* It scrolls sideways, so it can be reached by keyboard. */}
      <pre tabIndex={0} role="region" aria-label={caption ?? what}>
        <code>{text}</code>
      </pre>
      <CopyButton text={text} what={what} />
    </figure>
  );
}
