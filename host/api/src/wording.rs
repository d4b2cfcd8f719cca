//! What the reading of a body says of a wrong value, for whoever wrote the value: names of types of this program mean nothing to them.

/// A reason with what was expected in plain words.
pub(crate) fn plain(reason: &str) -> String {
    let Some((found, expected)) = reason.rsplit_once("expected ") else {
        return reason.to_owned();
    };
    let plain = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        kind if kind.starts_with("struct ") => "a map",
        kind => kind,
    };
    format!("{found}expected {plain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_of_the_program_becomes_a_kind_of_value() {
        for (said, plainly) in [
            (
                "invalid value: integer `-1`, expected u32",
                "invalid value: integer `-1`, expected a whole number from 0",
            ),
            (
                "invalid type: null, expected struct NetworkSpec",
                "invalid type: null, expected a map",
            ),
            (
                "invalid type: string \"expected u32\", expected a boolean",
                "invalid type: string \"expected u32\", expected a boolean",
            ),
            ("missing field `vim`", "missing field `vim`"),
        ] {
            assert_eq!(plain(said), plainly);
        }
    }
}
