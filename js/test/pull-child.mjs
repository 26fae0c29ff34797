// Pulls into a directory or layout, as the user that it is told to become, and prints what came of it.
import process from "node:process";
import { Client, directory, folderCache, layout } from "../dist/entry/node.js";

const { reference, path, options, user, cache, to = "directory" } = JSON.parse(process.argv.at(-1));
if (user !== undefined) {
  process.setgroups?.([]);
  process.setgid(user);
  process.setuid(user);
}
const client = new Client({
  auth: "anonymous",
  cache: cache === undefined ? false : folderCache(cache),
  retry: { firstPause: 1, longestPause: 2 },
});
try {
  if (to === "layout") {
    const [copied] = await client.pull(reference, { to: layout(path, options) });
    console.log(JSON.stringify(copied));
  } else {
    const { digest, counts, report } = await client.pull(reference, { to: directory(path, options) });
    console.log(JSON.stringify({ digest, counts, report }));
  }
} catch (error) {
  const { code, message, errorClass, advice } = error;
  console.log(JSON.stringify({ code, message, errorClass, advice, cause: String(error.cause ?? "") }));
}
