// Takes a lock and keeps it.
import process from "node:process";
import { LockFile } from "../dist/disk/lock.js";

globalThis.lock = LockFile.tryAcquire(JSON.parse(process.argv.at(-1)).path);
setInterval(() => undefined, 1_000);
