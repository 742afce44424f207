// What stands where content is not: not yet, not at all, or not this time.
import type { UseQueryResult } from "@tanstack/react-query";
import type { CSSProperties, ReactNode } from "react";
import { ApiError } from "../api/client.ts";
import { Button } from "./button.tsx";
import { Icon, type IconName } from "./icon.tsx";

/** A grey place of the size of what comes. */
export function Skeleton({ width = "100%", height = 14 }: { width?: number | string; height?: number }) {
  const style: CSSProperties = { width, height };
  return <span className="skeleton" style={style} aria-hidden="true" />;
}

/** Rows of a table or list that are on their way. */
export function SkeletonRows({ rows = 6, height = 20 }: { rows?: number; height?: number }) {
  return (
    <div className="body stack" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        <Skeleton key={index} height={height} />
      ))}
    </div>
  );
}

interface EmptyProps {
  icon: IconName;
  title: string;
  children: ReactNode;
  action?: ReactNode;
}

/** Nothing is there, and what the next step is. */
export function Empty({ icon, title, children, action }: EmptyProps) {
  return (
    <div className="empty">
      <Icon name={icon} />
      <p className="title">{title}</p>
      <p>{children}</p>
      {action && <div className="actions">{action}</div>}
    </div>
  );
}

/** It failed: what, by which request, and again. */
export function Failed({ error, retry }: { error: unknown; retry: () => void }) {
  return (
    <div className="empty" role="alert">
      <Icon name="alert" />
      <p className="title">This could not be loaded</p>
      <p>{messageOf(error)}</p>
      <div className="actions">
        <Button icon="refresh" onClick={retry}>
          Try again
        </Button>
      </div>
    </div>
  );
}

interface LoadedProps<Data> {
  query: Pick<UseQueryResult<Data>, "data" | "error" | "refetch">;
  loading?: ReactNode;
  children: (data: Data) => ReactNode;
}

/** The content of a query, or what stands in its place. Data that is there stays when a refresh fails. */
export function Loaded<Data>({ query, loading = <SkeletonRows />, children }: LoadedProps<Data>) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Failed error={query.error} retry={() => void query.refetch()} />;
  return loading;
}

/** An error as a sentence, with the request's id where it helps support. */
export function messageOf(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : "Something went wrong.";
  return error.status >= 500 && error.requestId ? `${error.message} (${error.requestId})` : error.message;
}
