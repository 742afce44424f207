import { useState } from "react";
import { useLocation } from "wouter";
import type { NewKey } from "../../api/types.ts";
import { showFullTime } from "../../lib/time.ts";
import { Button } from "../../ui/button.tsx";
import { Code, CopyButton } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { holdKey } from "../playground/held-key.ts";
import { firstCommand } from "./first-command.ts";

/** The one time that a key is shown. It stays until one says that it is kept. */
export function MadeKey({ made, onClose }: { made: NewKey; onClose: () => void }) {
  const [, go] = useLocation();
  const [isSure, setSure] = useState(false);
  const [isLeaving, setLeaving] = useState(false);
  const tryIt = () => {
    holdKey(made.key);
    onClose();
    go("/playground");
  };
  return (
    <Dialog
      title={`${made.name} is ready`}
      description="Copy the key now. It is shown this once: we keep a digest of it, from which it cannot be made again."
      open
      sticky
      onStay={() => (isSure ? onClose() : setLeaving(true))}
      onClose={onClose}
    >
      <div className="body stack">
        <div className="secret">
          <code data-testid="new-key">{made.key}</code>
          <CopyButton text={made.key} what="the key" worded look="primary" />
        </div>
        {made.old_key_ends_at && (
          <p className="notice">The old key works until {showFullTime(made.old_key_ends_at)}.</p>
        )}
        <Code
          caption="Put it into the environment, and see that it works"
          text={firstCommand(made.key, location.origin)}
          what="the command"
        />
        <label className="check">
          <input type="checkbox" checked={isSure} onChange={(event) => setSure(event.target.checked)} />
          <span>I have put the key where I keep secrets</span>
        </label>
        {isLeaving && !isSure && (
          <p className="notice warn" role="alert">
            The key cannot be shown again. Copy it, tick the box above, and this closes.
          </p>
        )}
      </div>
      <footer>
        <Button icon="play" onClick={tryIt}>
          Try it in the playground
        </Button>
        <Button look="primary" disabled={!isSure} onClick={onClose}>
          Done
        </Button>
      </footer>
    </Dialog>
  );
}
