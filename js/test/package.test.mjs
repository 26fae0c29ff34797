import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { VERSION } from "../dist/version.js";

const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

test("the version is the package's", () => assert.equal(VERSION, manifest.version));

test("nothing is needed at run time", () => assert.equal(manifest.dependencies, undefined));
