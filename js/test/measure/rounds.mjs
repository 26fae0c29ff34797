// What is measured, for any runtime.

/** What a body brings at once. */
const CHUNK = 64 << 10;
const ROUNDS = 5;

/** Decodes a layer and does the bare work, in turns; returns the median seconds of each. */
export function measure(engine, spec, blob) {
  const times = { decoded: [], bare: [] };
  let files = 0;
  for (let round = 0; round < ROUNDS; round++) {
    times.decoded.push(timed(() => (files = decode(engine, spec, blob))));
    times.bare.push(timed(() => bare(engine, spec, blob)));
  }
  return { decoded: median(times.decoded), bare: median(times.bare), files };
}

/** Verifies and untars into memory; returns the number of entries. */
function decode(engine, spec, blob) {
  const decoder = new engine.LayerDecoder(JSON.stringify(spec));
  const pack = [];
  const take = () => {
    pack.push(decoder.output().slice());
    decoder.clearOutput();
  };
  for (const chunk of chunksOf(blob)) {
    decoder.input().set(chunk);
    for (let done = decoder.step(chunk.length); !done; done = decoder.step(0)) take();
  }
  const { entries } = JSON.parse(decoder.finish());
  take();
  decoder.index();
  decoder.free();
  return entries;
}

function bare(engine, spec, blob) {
  const layer = new engine.BareLayer();
  for (const chunk of chunksOf(blob)) {
    layer.input().set(chunk);
    layer.step(chunk.length);
  }
  const digests = layer.finish();
  if (digests !== `${spec.digest} ${spec.diffId}`) throw new Error(`other bytes were hashed: ${digests}`);
}

function* chunksOf(blob) {
  for (let at = 0; at < blob.length; at += CHUNK) yield blob.subarray(at, at + CHUNK);
}

function timed(work) {
  const started = performance.now();
  work();
  return (performance.now() - started) / 1000;
}

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}
