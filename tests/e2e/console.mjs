// The account's API as its tests read it.
import assert from "node:assert/strict";

/** `GET` of a route of the account's API that answers JSON with 200. */
export async function get(gateway, key, path) {
  const response = await gateway.fetch(`/console/api/${path}`, { key });
  const body = await response.json();
  assert.equal(response.status, 200, `${path}: ${JSON.stringify(body)}`);
  return body;
}

/** All rows of a list, page by page; fails when a page is larger than asked for or the list does not end. */
export async function walk(gateway, key, path, limit) {
  const rows = [];
  const query = `${path}${path.includes("?") ? "&" : "?"}limit=${limit}`;
  for (let cursor = null, pages = 0; ; pages += 1) {
    const page = await get(gateway, key, cursor === null ? query : `${query}&cursor=${encodeURIComponent(cursor)}`);
    assert.ok(page.data.length <= limit, `${page.data.length} of ${limit}`);
    rows.push(...page.data);
    if (page.next_cursor === null) return rows;
    assert.ok(pages < 1_000, "the list does not end");
    cursor = page.next_cursor;
  }
}

/** The rows of a CSV export as objects of texts, and its headers. */
export async function exported(gateway, key, query = "") {
  const response = await gateway.fetch(`/console/api/usage.csv${query}`, { key });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const [names, ...lines] = cells(text);
  return {
    headers: response.headers,
    rows: lines.map((line) => Object.fromEntries(names.map((name, at) => [name, line[at]]))),
  };
}

/** CSV as RFC 4180 writes it: lines of cells. */
function cells(text) {
  const lines = [];
  let line = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;
  while (cell.lastIndex < text.length) {
    const at = cell.lastIndex;
    const found = cell.exec(text);
    assert.ok(found, `no cell: ${text.slice(at, at + 60)}`);
    line.push(found[1] === undefined ? found[2] : found[1].replaceAll('""', '"'));
    if (found[3] === "\r\n") {
      lines.push(line);
      line = [];
    }
  }
  assert.deepEqual(line, [], "the last line ends");
  return lines;
}
