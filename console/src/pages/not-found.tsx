import { Link } from "wouter";
import { Page } from "../shell/page.tsx";
import { Empty } from "../ui/states.tsx";

export function NotFound() {
  return (
    <Page title="There is no such page">
      <div className="card">
        <Empty
          icon="search"
          title="Nothing lives at this address"
          action={
            <Link href="/" className="button">
              Go to the overview
            </Link>
          }
        >
          The link may be old, or the address has a slip in it.
        </Empty>
      </div>
    </Page>
  );
}
