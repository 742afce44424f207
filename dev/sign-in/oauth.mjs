// Sign-in by another provider. One page stands for the pages of Google, GitHub and others; the user chooses an identity.
import { invalid } from "./errors.mjs";
import { escaped, page } from "./pages.mjs";
import { redirectTo } from "./sessions.mjs";
import { addIdentity, addUser, emailOf, findUser } from "./users.mjs";

/** Returns the page for a request to `/authorize`. */
export function providerPage(context, query) {
  const provider = checkedProvider(context, query);
  const hidden = ["provider", "redirect_to", "code_challenge", "code_challenge_method"]
    .filter((name) => query.has(name))
    .map((name) => `<input type="hidden" name="${name}" value="${escaped(query.get(name))}">`)
    .join("");
  const known = context.store.users.map(
    ({ email }) => `<button name="email" value="${escaped(email)}">${escaped(email)}</button>`,
  );
  const form = (body) => `<form method="post" action="/auth/v1/authorize">${hidden}${body}</form>`;
  const body = `${form(known.join("\n"))}
${form(`<label>Somebody else: <input type="email" name="email" required></label> <button>Continue</button>`)}
${form(`<button name="cancel" value="1">Cancel</button>`)}`;
  return page(`Sign in with ${provider}`, body, `Stands for the page of ${provider}. Nobody asks for a password here.`);
}

/** Returns the address to which the browser goes after the choice. `form` is the form that the page sent. */
export function decide(context, form) {
  const provider = checkedProvider(context, form);
  const target = context.allowed(form.get("redirect_to"));
  if (form.has("cancel")) {
    const url = new URL(target);
    const error = {
      error: "access_denied",
      error_code: "access_denied",
      error_description: "The user has denied access",
    };
    Object.entries(error).forEach(([name, value]) => url.searchParams.set(name, value));
    return url.href;
  }
  const email = emailOf({ email: form.get("email") });
  const user = findUser(context.store, email) ?? addUser(context.store, { email, provider });
  addIdentity(user, provider);
  const [challenge, challengeMethod] = [form.get("code_challenge"), form.get("code_challenge_method")];
  return redirectTo(context, user, "oauth", { redirectTo: target, challenge, challengeMethod });
}

function checkedProvider({ providers }, query) {
  const provider = query.get("provider");
  if (!providers.includes(provider)) throw invalid("Unsupported provider: provider is not enabled");
  return provider;
}
