// WebKitGTK under Xvfb, driven through WebDriver: nothing else drives it.
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import process from "node:process";
import { required } from "../harness/programs.mjs";

/** Starts a screen, the driver and its browser; returns `evaluate(url, script)` and `close()`. */
export async function startWebKit() {
  const children = [];
  const close = async () => {
    for (const child of children.reverse()) {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, "close");
    }
  };
  try {
    const screen = spawn(required("/usr/bin/Xvfb", "apt-get install xvfb"), ["-displayfd", "3", "-nolisten", "tcp"], {
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    });
    children.push(screen);
    const [display] = await once(screen.stdio[3], "data");
    const port = await freePort();
    const driver = spawn(required("/usr/bin/WebKitWebDriver", "apt-get install webkit2gtk-driver"), [`--port=${port}`], {
      // As root there is no sandbox.
      env: { ...process.env, DISPLAY: `:${String(display).trim()}`, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" },
      stdio: ["ignore", "ignore", "inherit"],
    });
    children.push(driver);
    const ask = (method, path, body) => command(`http://127.0.0.1:${port}${path}`, method, body);
    await listening(() => ask("GET", "/status"));
    const [binary] = globSync("/usr/lib/*/webkit2gtk-4.*/MiniBrowser");
    const options = { binary: required(binary ?? "MiniBrowser", "apt-get install webkit2gtk-driver"), args: ["--automation"] };
    const session = await ask("POST", "/session", { capabilities: { alwaysMatch: { "webkitgtk:browserOptions": options } } });
    const path = `/session/${session.sessionId}`;
    await ask("POST", `${path}/timeouts`, { script: 120_000 });
    return {
      version: session.capabilities.browserVersion,
      open: (url) => ask("POST", `${path}/url`, { url }),
      /** Runs the body of an async function in the page, with `given`. */
      evaluate: (body, given) =>
        ask("POST", `${path}/execute/async`, {
          script: `const [given, done] = arguments;
            (async () => { ${body} })().then((value) => done({ value }), (error) => done({ error: String(error?.stack ?? error) + error }));`,
          args: [given],
        }),
      async close() {
        await ask("DELETE", path);
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function command(url, method, body) {
  const answer = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) });
  const { value } = await answer.json();
  if (value?.error !== undefined) throw new Error(`${value.error}: ${value.message}`);
  return value;
}

async function listening(ask) {
  for (let turn = 0; ; turn++) {
    try {
      return await ask();
    } catch (error) {
      if (turn === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}
