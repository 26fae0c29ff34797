//! Fetches a WebAssembly module from a registry, verified, and calls a function of it in a light
//! engine, as a runtime at the edge would.
//!
//! Without arguments the registry runs in this process; the module there adds two numbers. Otherwise:
//! `cargo run --release --example run-wasm -- ghcr.io/org/module:1 function 1 2`

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::io::{Read, Seek};

use oci_fetcher::{Auth, Client, Source, WasmKind};
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::Artifact;
use oci_fetcher_tests::registry::{Options, Registry};
use wasmi::{Engine, Linker, Module, Store, Val, ValType};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let registry = start_registry();
    let given: Vec<String> = std::env::args().skip(1).collect();
    let demo = [format!("{}/demo/add:1", registry.host()), "add".to_owned(), "2".to_owned(), "40".to_owned()];
    let call = if given.is_empty() { demo.as_slice() } else { given.as_slice() };
    let [reference, function, arguments @ ..] = call else { return Err("which function?".into()) };

    let source: Source = reference.parse()?;
    let mut file = tempfile::tempfile()?;
    let got = Client::new(Auth::Environment).get_one(&source, file.try_clone()?).await?;
    // By type and by content: anything else is no module, or was refused already.
    if got.files[0].wasm != Some(WasmKind::Module) {
        return Err(format!("{reference} holds no core module").into());
    }
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    println!("verified  {} ({} bytes)", got.files[0].descriptor.digest, bytes.len());

    // The linker is empty: the module gets nothing of this process but its own memory.
    let engine = Engine::default();
    let module = Module::new(&engine, &bytes)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module)?;
    let called = instance.get_func(&store, function).ok_or_else(|| format!("the module exports no {function}"))?;
    let signature = called.ty(&store);
    if signature.params().len() != arguments.len() {
        return Err(format!("{function} takes {} arguments", signature.params().len()).into());
    }
    let values = signature.params().iter().zip(arguments).map(|(kind, text)| value(*kind, text));
    let values: Vec<Val> = values.collect::<Result<_, _>>()?;
    let mut results: Vec<Val> = signature.results().iter().map(|kind| Val::default_for_ty(*kind)).collect();
    called.call(&mut store, &values, &mut results)?;
    println!("called    {function}({}) = {results:?}", arguments.join(", "));
    Ok(())
}

fn value(kind: ValType, text: &str) -> Result<Val, Box<dyn Error>> {
    match kind {
        ValType::I32 => Ok(Val::I32(text.parse()?)),
        ValType::I64 => Ok(Val::I64(text.parse()?)),
        ValType::F32 | ValType::F64 | ValType::V128 | ValType::FuncRef | ValType::ExternRef => {
            Err(format!("no argument of type {kind:?} here").into())
        }
    }
}

fn start_registry() -> Registry {
    let mut content = Content::new();
    content.push("demo/add", "1", Artifact::wasm(ADD));
    Registry::start(content, Options::new())
}

/// `(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))`
const ADD: &[u8] = b"\0asm\x01\0\0\0\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\0\x07\x07\x01\x03add\0\0\
    \x0a\x09\x01\x07\0\x20\0\x20\x01\x6a\x0b";
