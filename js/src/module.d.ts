/** The WebAssembly module, as bundlers and runtimes that import `.wasm` files hand it out. */
declare const module: WebAssembly.Module;
export default module;
