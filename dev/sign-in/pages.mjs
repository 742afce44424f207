// The pages of the sign-in stand-in.

/** Escapes a text for HTML and for attributes in double quotes. */
export function escaped(text) {
  return String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** Returns a page. `body` is HTML. */
export function page(title, body, note) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}: sign-in stand-in</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem; color-scheme: light dark; }
  article { border-top: 1px solid; padding: .5rem 0; }
  input, button { font: inherit; padding: .4rem .8rem; margin: .25rem .25rem .25rem 0; }
</style>
<h1>${escaped(title)}</h1>
<p>${escaped(note)}</p>
${body}
</html>
`;
}
