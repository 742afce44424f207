import { Link } from "wouter";

/** Name and mark; leads home. */
export function Brand() {
  return (
    <Link href="/" className="brand" aria-label="One Interface, home">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" fill="#0b6b5d" />
        <path
          d="M8 11.5h6.5L16 16l1.5-4.5H24M8 20.5h6.5L16 16l1.5 4.5H24"
          fill="none"
          stroke="#fff"
          strokeWidth="2.4"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
      <span className="wordmark">One Interface</span>
    </Link>
  );
}
