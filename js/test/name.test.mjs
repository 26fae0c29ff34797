import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeName, encodeName } from "../dist/name.js";
import { decodeRecords, encodeRecord } from "../dist/record.js";

test("any bytes survive being a string", () => {
  const cases = [[], [0x61], [0xff], [0x61, 0xff, 0x62], [0xc3, 0xa4], [0xc3], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x92, 0xa9], [0xef, 0xbb, 0xbf, 0x61], [0x80, 0xc3, 0xa4, 0xf5], [0]];
  for (let first = 0; first < 256; first += 1) for (const second of [0x00, 0x41, 0x80, 0xbf, 0xc2, 0xff]) cases.push([first, second]);
  for (const bytes of cases) {
    assert.deepEqual([...encodeName(decodeName(Uint8Array.from(bytes)))], bytes);
  }
});

test("well-formed names are plain strings, others hold lone surrogates", () => {
  assert.equal(decodeName(Uint8Array.from([0xc3, 0xa4])), "ä");
  assert.equal(decodeName(Uint8Array.from([0x61, 0xff])), "a\udcff");
});

test("a surrogate that stands for no byte is refused", () => {
  assert.throws(() => encodeName("a\ud800"), { code: "usage" });
});

test("records survive a round trip", () => {
  const entry = {
    kind: "file", mode: 0o4755, uid: 4_000_000_000, gid: 1, mtime: -5, nanoseconds: 999_999_999, size: 2 ** 40,
    links: 2, node: 7, major: 0, minor: 0, path: "a/b\udcff", linkTarget: "", hardLinkTo: "a/first",
    xattrs: new Map([["user.one", Uint8Array.from([0, 255])], ["user.two", new Uint8Array()]]),
  };
  const link = { ...entry, kind: "symlink", linkTarget: "../x", xattrs: new Map() };
  const bytes = Buffer.concat([encodeRecord(entry), encodeRecord(link)]);
  assert.deepEqual(decodeRecords(new Uint8Array(bytes)), [entry, link]);
  assert.throws(() => decodeRecords(new Uint8Array(bytes.subarray(0, bytes.length - 1))), RangeError);
});
