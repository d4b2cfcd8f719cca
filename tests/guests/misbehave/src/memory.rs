//! A search of this guest's own memory, for what should not be there.
//!
//! What is looked for comes masked, each byte XOR the same mask, and is compared masked: in clear it never stands in this memory
//! by the search itself. What was freed is searched too, since freeing wipes nothing.

use serde_json::Value;

const PAGE: usize = 64 << 10;

/// How often each of `needles`, which are lists of bytes under `mask`, stands in the memory.
pub fn hits(search: &Value) -> Vec<usize> {
    let byte = |value: &Value| u8::try_from(value.as_u64().expect("a number")).expect("a byte");
    let mask = byte(&search["mask"]);
    assert_ne!(mask, 0, "unmasked needles would find themselves");
    let needles = search["needles"].as_array().expect("a list");
    let needles = needles.iter().map(|needle| {
        let bytes = needle.as_array().expect("a list of bytes");
        bytes.iter().map(byte).collect::<Vec<u8>>()
    });
    needles.map(|needle| count(&needle, mask)).collect()
}

fn count(masked: &[u8], mask: u8) -> usize {
    assert!(!masked.is_empty(), "nothing stands everywhere");
    let end = core::arch::wasm32::memory_size::<0>() * PAGE;
    // Nothing lies at address 0, where a pointer would be null.
    (1..=end - masked.len())
        .filter(|start| {
            (*start..)
                .zip(masked)
                .all(|(address, byte)| read(address) ^ mask == *byte)
        })
        .count()
}

fn read(address: usize) -> u8 {
    let place = core::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: the only caller stays within the linear memory, all of which can be read and which never shrinks; the address is
    // not null. Volatile, because most of it belongs to no object that the compiler knows.
    unsafe { place.read_volatile() }
}
