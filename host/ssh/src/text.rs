//! Texts of VMs, made harmless: they end up in messages of tasks.

/// Characters of a VM's text that are shown: enough for an error of a shell, too little for a log flood.
const SHOWN: usize = 300;

/// The beginning of a text in one line, without control characters.
pub(crate) fn shown(text: &str) -> String {
    let harmless = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.trim().chars().map(harmless).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_of_bounded_length() {
        assert_eq!(shown(" no such\nfile\u{1b}[2J "), "no such file [2J");
        assert_eq!(shown(&"ü".repeat(1000)).chars().count(), SHOWN);
    }
}
