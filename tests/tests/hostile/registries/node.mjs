// The npm client in Node, asked case after case: a line of JSON in, a line of JSON out.
import path from "node:path";
import { createInterface } from "node:readline";
import process from "node:process";
import { inspect } from "node:util";
import { Client, directory, environment, folderCache } from "../../../../js/dist/entry/node.js";

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}

async function answer({ verb, reference, to, cache, home, path: search, plainHttp, settings }) {
  const variables = { PATH: search ?? process.env.PATH, HOME: home };
  const shown = [];
  const client = new Client({
    auth: environment({ variables }),
    cache: folderCache(cache),
    deadlines: { firstByte: 3_000, progress: 3_000 },
    ...(plainHttp && { plainHttp }),
    ...settings,
    retry: { attempts: 1, ...settings.retry },
  });
  const onProgress = (event) => {
    if (event.kind !== "downloaded") shown.push(event.text ?? event.reason ?? event.request ?? "");
  };
  try {
    const value = await ask(client, { verb, reference, to, onProgress });
    shown.push(value);
    return { exit: 0, code: "", shown: shown.join("\n") };
  } catch (error) {
    for (let at = error; at instanceof Error; at = at.cause) shown.push(at.message, at.advice ?? "");
    return { exit: error.exitCode ?? 1, code: error.code ?? inspect(error), shown: shown.join("\n") };
  } finally {
    client.close();
  }
}

async function ask(client, { verb, reference, to, onProgress }) {
  if (verb === "tags") return JSON.stringify(await client.tags(reference, { onProgress }));
  if (verb === "get") {
    const artifact = await client.get(reference, { onProgress });
    for (const { name } of artifact.files) {
      // What a caller would do with a name that it was given.
      const target = path.resolve(to, name);
      if (!target.startsWith(`${to}${path.sep}`)) throw new Error(`${name} leads out of the folder`);
    }
    return JSON.stringify(artifact.files.map(({ name }) => name));
  }
  const image = await client.pull(reference, { to: directory(to), onProgress });
  image.close();
  return [image.digest, ...image.warnings].join("\n");
}
