import { useEffect, type ReactNode } from "react";
import { Skeleton } from "../ui/states.tsx";

interface Props {
  title: string;
  description?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page with its heading; its title is the window's. */
export function Page({ title, description, actions, children }: Props) {
  useEffect(() => {
    document.title = `${title} · One Interface`;
  }, [title]);
  return (
    <>
      <div className="page-head">
        <div>
          <h1>{title}</h1>
          {description && <p>{description}</p>}
        </div>
        {actions && <div className="actions">{actions}</div>}
      </div>
      {children}
    </>
  );
}

/** The place of a page that is on its way. */
export function PagePlace() {
  return (
    <div role="status" aria-label="Loading" className="page-place">
      <div className="page-head">
        <Skeleton width={180} height={30} />
      </div>
      <Skeleton height={140} />
    </div>
  );
}
