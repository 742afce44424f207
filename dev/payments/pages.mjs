// The stand-in's pages, without JavaScript: Checkout, a receipt, and the payments with what may happen to them.
import { SHOWN } from "./cards.mjs";

const STYLE = `
  *{box-sizing:border-box} body{margin:0;font:16px/1.5 system-ui,sans-serif;color:#1a1f36;background:#f6f8fa}
  main{max-width:60rem;margin:0 auto;padding:2rem 1rem;display:grid;gap:2rem;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));align-items:start}
  main.wide{display:block} .sum{font-size:2.4rem;font-weight:600;margin:.2rem 0} .dim{color:#596075} .note{background:#fff4d6;padding:.6rem 1rem;border-radius:6px}
  form.card,section.card{background:#fff;border:1px solid #e3e8ee;border-radius:10px;padding:1.5rem;box-shadow:0 2px 6px #0000000d}
  code{white-space:nowrap} label{display:block;font-size:.85rem;font-weight:500;margin:.8rem 0 .2rem} input{width:100%;font:inherit;padding:.55rem .7rem;border:1px solid #c1c9d2;border-radius:6px}
  .row{display:grid;grid-template-columns:1fr 1fr;gap:.8rem} button,.button{font:inherit;font-weight:600;padding:.6rem 1rem;border-radius:6px;border:1px solid #c1c9d2;background:#fff;color:inherit;cursor:pointer;text-decoration:none;display:inline-block}
  button.main{width:100%;margin-top:1.2rem;background:#0b57d0;border-color:#0b57d0;color:#fff} .more{display:flex;gap:.5rem;flex-wrap:wrap;margin-top:.8rem}
  .wrong{color:#b3261e;font-weight:500} table{border-collapse:collapse;width:100%;background:#fff} td,th{text-align:left;padding:.5rem .7rem;border-bottom:1px solid #e3e8ee;vertical-align:top} td form{display:inline}
  @media (prefers-color-scheme:dark){body{background:#12151c;color:#e6e9f0}.dim{color:#9aa3b5}form.card,section.card,table,button,.button{background:#1b202b;border-color:#323a49}input{background:#12151c;color:inherit;border-color:#323a49}.note{background:#3a3217}td,th{border-color:#323a49}}`;

const usd = (cents) => `$${(cents / 100).toFixed(2)}`;
// biome-ignore lint/suspicious/noShadowRestrictedNames: the global of this name is for URLs and deprecated
const escape = (text) => String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

function page(title, main, wide = false) {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)}</title><style>${STYLE}</style></head><body><main${wide ? ' class="wide"' : ""}>${main}</main></body></html>`;
}

/** The page where a session is paid; `wrong` is what was wrong the last time. */
export function checkoutPage(session, wrong = null) {
  const saves = session.payment_intent_data.setup_future_usage
    ? "<p class=dim>The card is kept, for automatic top-ups.</p>"
    : "";
  const cards = SHOWN.map(
    ([number, what]) => `<tr><td><code>${number}</code></td><td class=dim>${escape(what)}</td></tr>`,
  ).join("");
  return page(
    `Pay ${usd(session.amount_total)}`,
    `<div><p class=dim>${escape(session.line_name)}</p><p class=sum>${usd(session.amount_total)}</p>
     <p class=note>A stand-in for Stripe on this machine: no money moves. Do not type a real card here.</p><table>${cards}</table></div>
     <form class=card method=post action="/c/pay/${escape(session.id)}">
       ${wrong ? `<p class=wrong role=alert>${escape(wrong)}</p>` : ""}
       <label for=number>Card number</label><input id=number name=number value="4242 4242 4242 4242" inputmode=numeric autocomplete=off>
       <div class=row><div><label for=exp>Expiry</label><input id=exp name=exp value="12 / 34" autocomplete=off></div>
       <div><label for=cvc>CVC</label><input id=cvc name=cvc value=123 inputmode=numeric autocomplete=off></div></div>${saves}
       <button class=main name=action value=pay>Pay ${usd(session.amount_total)}</button>
       <div class=more><button name=action value=bank>Pay from a bank account</button><button name=action value=decline>Let it be declined</button>
       ${session.cancel_url ? `<a class=button href="${escape(session.cancel_url)}">Leave</a>` : ""}</div></form>`,
  );
}

/** A page that says one thing. */
export function plainPage(title, text) {
  return page(title, `<section class=card><h1>${escape(title)}</h1><p>${escape(text)}</p></section>`);
}

export function receiptPage(charge) {
  const rows = [
    ["Receipt", charge.id],
    ["Paid", new Date(charge.created * 1_000).toUTCString()],
    ["Amount", usd(charge.amount)],
    ["Paid back", usd(charge.amount_refunded)],
  ];
  const cells = rows.map(([name, value]) => `<tr><th>${name}</th><td>${escape(value)}</td></tr>`).join("");
  return page(
    `Receipt ${charge.id}`,
    `<section class=card><p class=sum>${usd(charge.amount)}</p><table>${cells}</table></section>`,
  );
}

/** All payments, the newest first, with what may be done to each. */
export function paymentsPage(store) {
  const button = (action, label, id) =>
    `<form method=post action="/"><input type=hidden name=id value="${escape(id)}"><button name=action value="${action}">${label}</button></form> `;
  const rows = store.all("payment_intent").map((intent) => {
    const session = store.all("checkout.session").find((one) => one.payment_intent === intent.id);
    const refunds = store.all("refund").filter((one) => one.payment_intent === intent.id);
    const disputes = store.all("dispute").filter((one) => one.payment_intent === intent.id);
    const acts = [
      intent.status === "processing" && session
        ? button("debit_succeeds", "The debit succeeds", session.id) + button("debit_fails", "It fails", session.id)
        : "",
      intent.status === "succeeded" ? button("refund", "Pay back", intent.id) : "",
      intent.status === "succeeded" && disputes.length === 0 ? button("dispute", "Dispute", intent.id) : "",
      ...disputes
        .filter(({ status }) => status === "needs_response")
        .map(({ id }) => button("won", "Dispute won", id) + button("lost", "Dispute lost", id)),
    ].join("");
    const back = [...refunds, ...disputes]
      .map((one) => `${one.object} of ${usd(one.amount)}: ${escape(one.status)}`)
      .join("<br>");
    return `<tr><td>${new Date(intent.created * 1_000).toLocaleString("en-GB")}<br><span class=dim>${session ? "Checkout" : "automatic"}</span></td><td>${usd(intent.amount)}</td><td>${escape(intent.status)}<br><span class=dim>${back}</span></td><td>${acts}</td></tr>`;
  });
  const table =
    rows.length > 0
      ? `<table><tr><th>When</th><th>Amount</th><th>Status</th><th>What may happen</th></tr>${rows.join("")}</table>`
      : "<p>Nobody has paid yet.</p>";
  return page(
    "Payments",
    `<h1>Payments</h1><p class=note>A stand-in for Stripe on this machine: no money moves.</p>${table}`,
    true,
  );
}
