// Short notices that pass: what has just been done, read out politely.
import { createContext, use, useCallback, useMemo, useState, type ReactNode } from "react";

const SHOWN_MS = 5_000;

type Say = (text: string, look?: "danger") => void;

const Context = createContext<Say>(() => {});

export const useToast = () => use(Context);

export function Toasts({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<{ id: number; text: string; look: string }[]>([]);
  const say = useCallback<Say>((text, look) => {
    const id = performance.now();
    setToasts((shown) => [...shown, { id, text, look: look ?? "" }]);
    setTimeout(() => setToasts((shown) => shown.filter((toast) => toast.id !== id)), SHOWN_MS);
  }, []);
  const content = useMemo(() => children, [children]);
  return (
    <Context value={say}>
      {content}
      <div className="toasts" role="status">
        {toasts.map(({ id, text, look }) => (
          <div key={id} className={`toast ${look}`}>
            {text}
          </div>
        ))}
      </div>
    </Context>
  );
}
