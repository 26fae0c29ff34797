import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { inspect } from "node:util";
import { Client, environment } from "../dist/entry/node.js";
import { placesOf } from "../dist/credentials/place.js";
import { image } from "./image.mjs";
import { startRegistry } from "./registry.mjs";

let registry;
let home;

before(async () => (registry = await startRegistry({ login: { username: "alice", password: "se:cret" } })));
after(() => registry.close());
beforeEach(() => (home = mkdtempSync(join(tmpdir(), "oci-fetcher-test-"))));
afterEach(() => rmSync(home, { recursive: true, force: true }));

const HOST = "registry.example";
const encoded = (user) => Buffer.from(user).toString("base64");
const auths = (user, host = HOST) => JSON.stringify({ auths: { [host]: { auth: encoded(user) } } });
const failure = (promise) => promise.then(() => assert.fail("it succeeded"), (error) => error);

function put(path, content) {
  const file = join(home, path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, content);
  return file;
}

/** Makes a helper of shell lines, and returns the variables with which it is found. */
function helper(name, lines) {
  chmodSync(put(`bin/docker-credential-${name}`, `#!/bin/sh\n${lines}\n`), 0o755);
  put(".docker/config.json", JSON.stringify({ credsStore: name }));
  return { HOME: home, PATH: `relative::${join(home, "bin")}:${process.env.PATH}` };
}

test("places come in their order, each once", () => {
  const paths = (variables) => placesOf({ variables }).map(({ name, kind }) => `${kind} ${name}`);
  const run = `podman /run/containers/${process.getuid()}/auth.json`;
  assert.deepEqual(paths({ HOME: "/h" }), [run, "podman /h/.config/containers/auth.json", "docker /h/.docker/config.json"]);
  assert.deepEqual(
    paths({
      HOME: "/h",
      DOCKER_AUTH_CONFIG: "{}",
      REGISTRY_AUTH_FILE: "/r/config.json",
      XDG_RUNTIME_DIR: "/x",
      XDG_CONFIG_HOME: "/c",
      DOCKER_CONFIG: "/d",
    }),
    [
      "docker $DOCKER_AUTH_CONFIG",
      "docker /r/config.json",
      "podman /x/containers/auth.json",
      run,
      "podman /c/containers/auth.json",
      "docker /d/config.json",
    ],
  );
  // What is empty or relative is void.
  assert.deepEqual(paths({ HOME: "h", XDG_RUNTIME_DIR: "x", DOCKER_AUTH_CONFIG: "" }), [run]);
});

test("the first entry that matches wins", async () => {
  const find = (variables) => environment({ variables: { HOME: home, ...variables } })(HOST, "team/app");
  assert.equal(await find(), undefined);
  put(".docker/config.json", auths("docker:1"));
  assert.deepEqual(await find(), { username: "docker", password: "1" });
  put(".config/containers/auth.json", auths("other:1", "other.example"));
  assert.equal((await find()).username, "docker");
  put(".config/containers/auth.json", auths("podman:1:2", `${HOST}/team`));
  assert.deepEqual(await find(), { username: "podman", password: "1:2" });
  const REGISTRY_AUTH_FILE = put("named.json", auths("named:1"));
  assert.equal((await find({ REGISTRY_AUTH_FILE })).username, "named");
  assert.equal((await find({ REGISTRY_AUTH_FILE, DOCKER_AUTH_CONFIG: auths("inline:1") })).username, "inline");
  const DOCKER_AUTH_CONFIG = JSON.stringify({ auths: { [HOST]: { identitytoken: "token" } } });
  assert.deepEqual(await find({ DOCKER_AUTH_CONFIG }), { identityToken: "token" });
});

test("a file that was named must be there and make sense", async () => {
  const find = (file) => environment({ file })(HOST, "app");
  assert.equal((await find(put("auth.json", auths("file:1")))).username, "file");
  const missing = await failure(find(join(home, "none.json")));
  assert.deepEqual([missing.code, missing.errorClass], ["auth-file-missing", "authentication"]);
  const malformed = await failure(find(put("bad.json", '{"auths": {"x": "hunter2"')));
  assert.equal(malformed.code, "malformed-auth-file");
  assert.doesNotMatch(inspect(malformed), /hunter2/);
  assert.equal((await failure(find(home))).code, "auth-file-unreadable");
});

test("helpers are asked, and only what they answer counts", async () => {
  const ask = (lines, options) => environment({ variables: helper("test", lines), ...options })(HOST, "app");
  const answer = `read address || true; echo "{\\"ServerURL\\":\\"$address\\",\\"Username\\":\\"$1\\",\\"Secret\\":\\"$address\\"}"`;
  assert.deepEqual(await ask(answer), { username: "get", password: HOST });
  // One that never reads its input, and one whose daemon keeps the pipes.
  assert.equal((await ask(`echo '{"Username":"u","Secret":"s"}'`)).username, "u");
  assert.equal((await ask(`sleep 30 & echo '{"Username":"u","Secret":"s"}'`)).username, "u");
  assert.deepEqual(await ask(`echo '{"Username":"<token>","Secret":"s"}'`), { identityToken: "s" });
  assert.equal(await ask("echo 'credentials not found in native keychain'; exit 1"), undefined);

  const failed = async (lines, options) => {
    const error = await failure(ask(lines, options));
    assert.equal(error.errorClass, "authentication");
    assert.doesNotMatch(inspect(error), /hunter2/);
    return error.code;
  };
  assert.equal(await failed("echo hunter2; echo hunter2 >&2; exit 1"), "helper-failed");
  assert.equal(await failed("echo hunter2"), "malformed-helper-answer");
  assert.equal(await failed("exec sleep 30", { helperTime: 100 }), "helper-timed-out");
  assert.equal(await failed("while :; do echo hunter2hunter2hunter2hunter2; done"), "helper-answer-too-long");
});

test("helpers are found in absolute folders of PATH alone, and have plain names", async () => {
  const code = async (config, variables) => {
    put(".docker/config.json", JSON.stringify(config));
    return (await failure(environment({ variables: { HOME: home, PATH: "", ...variables } })(HOST, "app"))).code;
  };
  assert.equal(await code({ credsStore: "none" }), "helper-missing");
  chmodSync(put("bin/docker-credential-here", "#!/bin/sh\necho '{}'\n"), 0o755);
  const before = process.cwd();
  process.chdir(join(home, "bin"));
  try {
    assert.equal(await code({ credsStore: "here" }, { PATH: "::.:bin" }), "helper-missing");
  } finally {
    process.chdir(before);
  }
  assert.equal(await code({ credsStore: "../../x" }), "malformed-helper-name");
});

test("a client finds them by itself, and a pull works", async () => {
  const reference = registry.serve("app:1", image([[{ path: "x", content: "x" }]]));
  const before = process.env.DOCKER_AUTH_CONFIG;
  process.env.DOCKER_AUTH_CONFIG = auths("alice:se:cret", registry.host);
  try {
    for (const auth of [undefined, "environment", environment()]) {
      const client = new Client({ cache: false, ...(auth && { auth }) });
      (await client.pull(reference)).close();
    }
    const anonymous = new Client({ cache: false, auth: "anonymous" });
    assert.equal((await failure(anonymous.pull(reference))).errorClass, "authentication");
  } finally {
    if (before === undefined) delete process.env.DOCKER_AUTH_CONFIG;
    else process.env.DOCKER_AUTH_CONFIG = before;
  }
});
