//! What a panic said: the trap that it ends in tells nothing of it.

use std::cell::RefCell;

use wasm_bindgen::prelude::wasm_bindgen;

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs once, when the module is instantiated.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        let message = info.to_string();
        LAST.with(|last| {
            // A panic while this is borrowed keeps the earlier message.
            if let Ok(mut last) = last.try_borrow_mut() {
                *last = Some(message);
            }
        });
    }));
}

/// Returns message and place of the panic that ended this instance, once.
#[wasm_bindgen(js_name = takePanic)]
#[must_use]
pub fn take_panic() -> Option<String> {
    LAST.with(|last| last.try_borrow_mut().ok()?.take())
}
