// A loopback proxy before the gateway that counts what a client sends: a request that the gateway refuses
// leaves no other trace.
import http from "node:http";

/**
 * Starts it before `origin`. Resolves to `{ url, seen, close() }`; `seen` are `{ method, path, stream,
 * status }`, oldest first, where `stream` is the field of the body.
 */
export async function startCounter(origin) {
  const seen = [];
  const server = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    const entry = { method: request.method, path: request.url, stream: streamOf(body), status: null };
    seen.push(entry);
    const { host, ...headers } = request.headers;
    const onward = http.request(`${origin}${request.url}`, { method: request.method, headers });
    onward.once("error", () => response.destroy());
    onward.once("response", (answer) => {
      entry.status = answer.statusCode;
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.end(body);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

function streamOf(body) {
  try {
    return JSON.parse(body.toString("utf8")).stream;
  } catch {
    return undefined;
  }
}
