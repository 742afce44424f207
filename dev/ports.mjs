// Finds and checks ports on 127.0.0.1.
import net from "node:net";
import { StepFailed } from "./steps.mjs";

/** Resolves to whether nothing listens on `port`. */
export function isFree(port) {
  return listen(port).then(
    () => true,
    (error) => {
      if (error.code === "EADDRINUSE") return false;
      throw new StepFailed(`Port ${port} cannot be used: ${error.message}`);
    },
  );
}

/** Resolves to whether something accepts connections on `port`. */
export function answers(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** Resolves to `wished`, or to another free port if `wished` is taken or above 65535. */
export async function freePort(wished) {
  if (wished <= 65_535 && (await isFree(wished))) return wished;
  return listen(0);
}

/** Listens on a port for a moment and resolves to its number. */
function listen(port) {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const { port: bound } = server.address();
      server.close(() => resolve(bound));
    });
  });
}
