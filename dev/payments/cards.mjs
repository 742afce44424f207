// Stripe's test cards, and what each of them does. https://docs.stripe.com/testing

/** By number: brand, and what happens where it is not simply paid. */
const CARDS = {
  4242424242424242: { brand: "visa" },
  5555555555554444: { brand: "mastercard" },
  378282246310005: { brand: "amex" },
  4000000000000002: { brand: "visa", declined: "generic_decline" },
  4000000000009995: { brand: "visa", declined: "insufficient_funds" },
  4000000000000069: { brand: "visa", declined: "expired_card" },
  // Its owner must confirm each payment; where nobody is there, it fails.
  4000002760003184: { brand: "visa", offSession: "authentication_required" },
  // It is disputed as soon as it has paid.
  4000000000000259: { brand: "visa", disputed: true },
  // Its refunds succeed at first and fail later.
  4000000000005126: { brand: "visa", refundsFail: true },
};

/** What the page shows of them. */
export const SHOWN = [
  ["4242 4242 4242 4242", "is paid"],
  ["4000 0000 0000 0002", "is declined"],
  ["4000 0027 6000 3184", "is paid here, and declined when the account tops itself up"],
  ["4000 0000 0000 0259", "is paid, and disputed at once"],
  ["4000 0000 0000 5126", "is paid, and its refunds fail"],
];

/** The card with this number, `{ number, brand, last4, declined?, offSession?, disputed?, refundsFail? }`, or null. */
export function cardOf(text) {
  const number = text.replaceAll(/[\s-]/g, "");
  return Object.hasOwn(CARDS, number) ? { ...CARDS[number], last4: number.slice(-4) } : null;
}
