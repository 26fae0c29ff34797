// Runs the shared scenario in Node, Deno or Bun, from inside a project that has the package installed:
// main.mjs GIVEN, where GIVEN is a JSON file. Prints one line of JSON.
import { readFileSync } from "node:fs";
import process from "node:process";
import * as oci from "oci-fetcher";
import { debian, speed } from "./scenario/bulk.mjs";
import { failures } from "./scenario/failures.mjs";
import { hosts } from "./scenario/hosts.mjs";
import { reading } from "./scenario/reading.mjs";
import { runSteps } from "./scenario/run.mjs";

const given = JSON.parse(readFileSync(process.argv[2], "utf8"));
const large = given.withDebian ? { ...speed, ...debian } : speed;
const steps = await runSteps({ ...reading, ...failures, ...hosts, ...large }, { oci, given });
process.stdout.write(`${JSON.stringify({ steps })}\n`);
