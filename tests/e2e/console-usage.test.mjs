// Usage, journal, sums and export, held against the journal that the account itself keeps: while D1 has all of it,
// none of it, and while it is on its way.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chatBody, completion, errorBody } from "./chat.mjs";
import { exported, get, walk } from "./console.mjs";
import { nanoUsd, startGateway } from "./harness.mjs";
import { json } from "./upstream.mjs";

// D1 has rows at once, or never.
const gateways = {};
before(async () => {
  for (const [name, seconds] of [
    ["delivering", "0"],
    ["waiting", "86400"],
  ]) {
    const gateway = await startGateway({ vars: { OUTBOX_FLUSH_SECONDS: seconds } });
    gateway.upstream.answer("chat", json(completion("chat")));
    gateway.upstream.answer("their-name", json(completion("their-name")));
    gateways[name] = gateway;
  }
});
after(() => Promise.all(Object.values(gateways).map((gateway) => gateway.close())));

const ask = (gateway, key, model = "chat") =>
  gateway.fetch("/v1/chat/completions", { method: "POST", key, body: chatBody(model) });

async function asked(gateway, key, model) {
  const response = await ask(gateway, key, model);
  assert.equal(response.status, 200, await response.text());
}

/** A key of the account with a name of its own: `{ id, key }`. */
async function named(gateway, account, name) {
  const { status, body } = await gateway.keys(account, "POST", "", { name });
  assert.equal(status, 201);
  return body;
}

const sum = (amounts) => amounts.reduce((total, amount) => total + nanoUsd(amount), 0n);

/** A journal's row as the usage list shows it. */
function expectedRow({ seq, id, kind, at_ms, amount_nano, usage }, names) {
  const time = (ms) => new Date(ms).toISOString();
  return {
    request_id: id,
    seq,
    kind,
    created_at: time(usage.created_at_ms),
    settled_at: time(at_ms),
    key_id: usage.key_id,
    key_name: names[usage.key_id],
    endpoint: usage.endpoint,
    model: usage.model,
    status: usage.outcome,
    billing_status: usage.billing_status,
    settled_by: usage.settled_by ?? null,
    input_tokens: usage.usage.input,
    cache_read_tokens: usage.usage.cache_read,
    cache_write_5m_tokens: usage.usage.cache_write_5m,
    cache_write_1h_tokens: usage.usage.cache_write_1h,
    output_tokens: usage.usage.output,
    reasoning_tokens: usage.usage.reasoning,
    web_searches: usage.usage.web_searches,
    cost_nano: BigInt(-amount_nano),
    uncollected_nano: BigInt(usage.uncollected),
    dropped: usage.dropped ?? null,
  };
}

/** A row of the list, its amounts as integers. */
function listedRow({ cost_usd, uncollected_usd, ...row }) {
  return { ...row, cost_nano: nanoUsd(cost_usd), uncollected_nano: nanoUsd(uncollected_usd) };
}

/** The journal's rows that have usage, the newest first. */
const used = (journal) => journal.filter(({ usage }) => usage !== null).reverse();

for (const name of ["delivering", "waiting"]) {
  test(`list, sums, export and journal are the account's own, with an outbox that is ${name}`, async () => {
    const gateway = gateways[name];
    const account = await gateway.account();
    const formula = await named(gateway, account, '=HYPERLINK("x"), "quoted"');
    const plain = await named(gateway, account, "plain");
    for (let n = 0; n < 9; n += 1)
      await asked(gateway, n % 3 === 0 ? formula.key : plain.key, n % 2 === 0 ? "chat" : "vendor/renamed");
    await gateway.grant(account, "2.5");
    gateway.upstream.answerOnce("chat", json({ error: { message: "no" } }, { status: 400 }));
    assert.equal((await ask(gateway, plain.key)).status, 400);
    await gateway.grant(account, "-0.000000001");
    if (name === "delivering") await gateway.usageRows(account, 10);

    const journal = await gateway.journal(account);
    const names = { [formula.id]: '=HYPERLINK("x"), "quoted"', [plain.id]: "plain" };
    const rows = used(journal);
    assert.equal(rows.length, 10);
    for (const limit of [3, 10, 200]) {
      const listed = await walk(gateway, account.key, "usage", limit);
      assert.deepEqual(
        listed.map(listedRow),
        rows.map((row) => expectedRow(row, names)),
        `pages of ${limit}`,
      );
    }
    assert.ok(
      !JSON.stringify(await get(gateway, account.key, "usage")).includes('"upstream":'),
      "who served it is ours to know",
    );

    const { headers, rows: lines } = await exported(gateway, account.key);
    assert.equal(headers.get("content-type"), "text/csv; charset=utf-8");
    assert.equal(headers.get("content-disposition"), 'attachment; filename="usage.csv"');
    assert.deepEqual(
      lines.map(({ seq }) => Number(seq)),
      rows.map(({ seq }) => seq).reverse(),
      "the oldest first, each once",
    );
    const spent = rows.reduce((total, row) => total - BigInt(row.amount_nano), 0n);
    assert.equal(sum(lines.map(({ cost_usd }) => cost_usd)), spent, "to the nano-dollar");
    assert.ok(
      lines.some(({ key_name }) => key_name === `'${names[formula.id]}`),
      "no formula",
    );

    const byKey = (await get(gateway, account.key, "usage/daily?by=key")).data;
    for (const by of ["none", "key", "model", "endpoint"]) {
      const { data } = await get(gateway, account.key, `usage/daily?by=${by}`);
      assert.equal(sum(data.map(({ cost_usd }) => cost_usd)), spent, by);
      assert.equal(
        data.reduce((total, { requests }) => total + requests, 0),
        rows.length,
        by,
      );
      assert.equal(
        data.reduce((total, { input_tokens }) => total + input_tokens, 0),
        90,
        by,
      );
    }
    const requests = Object.groupBy(rows, ({ usage }) => usage.key_id);
    assert.deepEqual(
      Object.fromEntries(byKey.map(({ group, requests }) => [group, requests])),
      Object.fromEntries(Object.entries(requests).map(([id, of]) => [id, of.length])),
    );

    const entries = await walk(gateway, account.key, "journal", 4);
    assert.deepEqual(
      entries.map(({ seq, id, kind, at, amount_usd, balance_after_usd }) => [
        seq,
        id,
        kind,
        at,
        nanoUsd(amount_usd),
        nanoUsd(balance_after_usd),
      ]),
      journal
        .map((row) => [
          row.seq,
          row.id,
          row.kind,
          new Date(row.at_ms).toISOString(),
          BigInt(row.amount_nano),
          BigInt(row.balance_after_nano),
        ])
        .reverse(),
    );
    for (const kind of ["usage", "grant", "adjustment", "refund"]) {
      const some = await walk(gateway, account.key, `journal?kind=${kind}`, 2);
      assert.deepEqual(
        some.map(({ seq }) => seq),
        journal
          .filter((row) => row.kind === kind)
          .map(({ seq }) => seq)
          .reverse(),
        kind,
      );
    }
    assert.deepEqual(
      entries.filter(({ kind }) => kind !== "usage").map(({ description }) => description),
      ["Correction", "Credit given", "Credit given"],
    );

    const money = await get(gateway, account.key, "balance");
    const { balance_after_nano: balance } = journal.at(-1);
    assert.deepEqual(
      [nanoUsd(money.balance_usd), money.held_usd, nanoUsd(money.available_usd), money.uncollected_usd, money.running],
      [BigInt(balance), "0", BigInt(balance), "0", 0],
    );
  });

  test(`each filter takes what it names, alone and together, with an outbox that is ${name}`, async () => {
    const gateway = gateways[name];
    const account = await gateway.account();
    const [first, second] = [await named(gateway, account, "first"), await named(gateway, account, "second")];
    for (const [key, model] of [
      [first, "chat"],
      [second, "chat"],
      [first, "vendor/renamed"],
      [second, "chat"],
    ])
      await asked(gateway, key.key, model);
    gateway.upstream.answerOnce("chat", json({ error: { message: "no" } }, { status: 400 }));
    await ask(gateway, first.key);
    if (name === "delivering") await gateway.usageRows(account, 5);
    const rows = used(await gateway.journal(account));
    const middle = rows[2].usage.created_at_ms;
    const [today, tomorrow] = [0, 86_400_000].map((more) => new Date(Date.now() + more).toISOString().slice(0, 10));
    for (const [query, fits] of [
      [{ key_id: first.id }, ({ usage }) => usage.key_id === first.id],
      [{ model: "vendor/renamed" }, ({ usage }) => usage.model === "vendor/renamed"],
      [{ endpoint: "/v1/chat/completions" }, () => true],
      [{ endpoint: "/v1/messages" }, () => false],
      [{ status: "rejected" }, ({ usage }) => usage.outcome === "rejected"],
      [{ from: new Date(middle).toISOString() }, ({ usage }) => usage.created_at_ms >= middle],
      [{ to: new Date(middle).toISOString() }, ({ usage }) => usage.created_at_ms < middle],
      [{ from: "2020-01-01", to: tomorrow }, () => true],
      [{ from: tomorrow }, () => false],
      [
        { key_id: second.id, model: "chat", status: "completed", to: tomorrow },
        ({ usage }) => usage.key_id === second.id,
      ],
      [{ key_id: "key_of_somebody_else" }, () => false],
    ]) {
      const expected = rows.filter(fits).map(({ seq }) => seq);
      const path = `?${new URLSearchParams(query)}`;
      assert.deepEqual(
        (await walk(gateway, account.key, `usage${path}`, 2)).map(({ seq }) => seq),
        expected,
        path,
      );
      assert.deepEqual(
        (await exported(gateway, account.key, path)).rows.map(({ seq }) => Number(seq)),
        expected.toReversed(),
        path,
      );
    }
    const { data } = await get(
      gateway,
      account.key,
      `usage/daily?from=${today}&by=model&key_id=${first.id}&status=completed`,
    );
    assert.deepEqual(data.map(({ group, requests }) => [group, requests]).sort(), [
      ["chat", 1],
      ["vendor/renamed", 1],
    ]);
  });
}

test("pages neither miss nor repeat a row while requests come and rows are delivered", async () => {
  const gateway = gateways.delivering;
  const account = await gateway.account();
  let running = true;
  const clients = Promise.all(
    [1, 2, 3].map(async () => {
      while (running) await asked(gateway, account.key);
    }),
  );
  const walks = [];
  try {
    for (let round = 0; round < 12; round += 1) {
      const { balance_usd } = await get(gateway, account.key, "balance");
      const [listed, csv, journal, daily] = await Promise.all([
        walk(gateway, account.key, "usage", 5 + round),
        exported(gateway, account.key),
        walk(gateway, account.key, "journal", 4 + round),
        get(gateway, account.key, "usage/daily"),
      ]);
      walks.push({ balance_usd, listed, csv: csv.rows, journal, daily: daily.data });
    }
  } finally {
    running = false;
    await clients;
  }
  const rows = await gateway.journal(account);
  const bySeq = new Map(rows.map((row) => [row.seq, row]));
  let newest = 0;
  for (const { balance_usd, listed, csv, journal, daily } of walks) {
    // Every row from the newest that was seen down to the first, in order.
    const down = (seqs, from) =>
      assert.deepEqual(
        seqs,
        Array.from({ length: seqs.length }, (_, n) => seqs[0] - n),
        from,
      );
    down(
      listed.map(({ seq }) => seq),
      "usage",
    );
    down(
      journal.map(({ seq }) => seq),
      "journal",
    );
    down(csv.map(({ seq }) => Number(seq)).reverse(), "export");
    assert.equal(journal.at(-1).seq, 1);
    if (listed.length > 0) assert.equal(listed.at(-1).seq, 2, "the grant is the first row");
    for (const { seq, cost_usd } of [...listed, ...csv.map((row) => ({ ...row, seq: Number(row.seq) }))])
      assert.equal(nanoUsd(cost_usd), BigInt(-bySeq.get(seq).amount_nano));
    // What had been charged before the lists were asked for is in each of them.
    const before = rows.findLast((row) => BigInt(row.balance_after_nano) === nanoUsd(balance_usd)).seq;
    for (const [what, seq] of [
      ["usage", listed[0]?.seq ?? 1],
      ["journal", journal[0].seq],
      ["export", Number(csv.at(-1)?.seq ?? 1)],
    ])
      assert.ok(seq >= before, `${what}: ${seq} of ${before}`);
    const counted = daily.reduce((total, { requests }) => total + requests, 0);
    assert.ok(counted >= before - 1, `sums: ${counted} of ${before - 1}`);
    const cost = sum(daily.map(({ cost_usd }) => cost_usd));
    assert.equal(
      cost,
      rows.slice(1, counted + 1).reduce((total, row) => total - BigInt(row.amount_nano), 0n),
      "no row twice in a sum",
    );
    newest = Math.max(newest, listed[0]?.seq ?? 0);
  }
  assert.ok(newest > 30, `only ${newest} rows`);
});

test("only who may read the account reads it, and nobody another's", async () => {
  const gateway = gateways.delivering;
  const [mine, other] = [await gateway.account(), await gateway.account()];
  await asked(gateway, mine.key);
  const [row] = await gateway.usageRows(mine, 1);
  const blind = await gateway.key(mine, ["inference", "keys:write"]);
  for (const path of ["balance", "journal", "usage", "usage/daily", "usage.csv", "live", "keys"]) {
    const status = async (key) => {
      const response = await gateway.fetch(`/console/api/${path}`, { key });
      const body = await response.json();
      return [response.status, body];
    };
    assert.deepEqual(
      await status(blind),
      [403, errorBody("invalid_api_key", "This API key does not have the permission for this request.")],
      path,
    );
    assert.equal((await status(undefined))[0], 401, path);
    if (path === "live") continue;
    const owner = await gateway.fetch(`/console/api/${path}`, { key: gateway.session(mine) });
    assert.equal(owner.status, 200, path);
    const theirs = await gateway.fetch(`/console/api/${path}`, { key: other.key });
    const text = await theirs.text();
    assert.ok(!text.includes(row.request_id) && !text.includes(row.key_id), path);
  }
  for (const query of [`key_id=${row.key_id}`, "model=chat"]) {
    assert.deepEqual((await get(gateway, other.key, `usage?${query}`)).data, []);
    assert.deepEqual((await get(gateway, other.key, `usage/daily?${query}`)).data, []);
    assert.deepEqual((await exported(gateway, other.key, `?${query}`)).rows, []);
  }
  for (const [method, path, body] of [
    ["PATCH", "", { name: "x" }],
    ["DELETE", ""],
    ["POST", "/rotate", {}],
  ]) {
    const answer = await gateway.keys(other, method, `/${row.key_id}${path}`, body);
    assert.deepEqual(
      [answer.status, answer.body],
      [404, errorBody("invalid_request", "There is no such key.")],
      method,
    );
  }
});

test("what a query says wrongly is told", async () => {
  const gateway = gateways.delivering;
  const { key } = await gateway.account();
  for (const [path, param] of [
    ["usage?limit=0", "limit"],
    ["usage?limit=201", "limit"],
    ["usage?cursor=abc", "cursor"],
    ["usage?from=yesterday", "from"],
    ["usage/daily?to=2026-13-01", "to"],
    ["usage/daily?from=2020-01-01&to=2026-01-01", "from"],
    ["journal?limit=ten", "limit"],
    ["usage?colour=red", "colour"],
    ["usage?status=great", "status"],
    ["usage/daily?by=week", "by"],
    ["journal?kind=theft", "kind"],
    ["usage.csv?cursor=1", "cursor"],
  ]) {
    const response = await gateway.fetch(`/console/api/${path}`, { key });
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code, error.param], [400, "invalid_request", param], path);
  }
});

test("everybody sees the models and their prices", async () => {
  const gateway = gateways.delivering;
  const response = await gateway.fetch("/console/api/models");
  assert.deepEqual([response.status, response.headers.get("cache-control")], [200, "public, max-age=60"]);
  const { data } = await response.json();
  const chat = data.find(({ id }) => id === "chat");
  assert.deepEqual([chat.pricing.input, chat.pricing.output], ["2", "10"]);
  const { key } = await gateway.account();
  const own = await (await gateway.fetch("/v1/models", { key })).json();
  assert.deepEqual(
    data.map(({ id }) => id),
    own.data.map(({ id }) => id),
  );
});
