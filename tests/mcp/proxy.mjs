// A loopback proxy that adds the key: the conformance suite and the Inspector's probes cannot send one.
// Everything else passes as it came, Host and Origin too.
import http from "node:http";

/** Starts it before `origin`. Resolves to `{ url, close() }`. */
export async function startProxy(origin, key) {
  const server = http.createServer((request, response) => {
    const { hostname, port } = new URL(origin);
    // A client that was told of the proxy's address means the gateway's.
    const own = `127.0.0.1:${server.address().port}`;
    const there = (text) =>
      text?.replace(own, `${hostname}:${port}`).replace(`localhost:${server.address().port}`, `localhost:${port}`);
    const headers = { ...request.headers, host: there(request.headers.host), authorization: `Bearer ${key}` };
    if (headers.origin) headers.origin = there(headers.origin);
    const onward = http.request({ hostname, port, path: request.url, method: request.method, headers });
    onward.once("error", () => response.destroy());
    onward.once("response", (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    response.once("close", () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
