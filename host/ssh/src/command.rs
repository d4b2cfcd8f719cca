//! The command that adds a key.

/// Adds the line on its input to the user's `authorized_keys`, unless the same key begins a line there already (as `inject_user_key` of
/// OSM's `vimconn.py`: directory and file are made, with modes 700 and 644).
///
/// `sh` runs it whatever the user's shell is. For that it stands within single quotes and holds none, no `!` and no line end, which
/// shells that are not POSIX treat differently there. The key is compared by type and data, so that another comment makes it no
/// other key. A last line that somebody left without its end is ended first; the two would be one otherwise.
pub(crate) const ADD_KEY: &str = concat!(
    "exec sh -c 'set -eu; umask 077; IFS= read -r line; kind=${line%% *}; rest=${line#* }; data=${rest%% *}; ",
    "dir=$HOME/.ssh; file=$dir/authorized_keys; mkdir -p \"$dir\"; chmod 700 \"$dir\"; touch \"$file\"; ",
    "grep -q -e \"^$kind $data\\$\" -e \"^$kind $data \" \"$file\" || { ",
    "if [ -s \"$file\" ] && [ -n \"$(tail -c 1 \"$file\")\" ]; then echo; fi; printf \"%s\\n\" \"$line\"; ",
    "} >> \"$file\"; chmod 644 \"$file\"'",
);

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::process::{Command, Output, Stdio};

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB+/x1 me@there";

    /// As the user's shell runs it after a login.
    fn run(home: &Path, line: &str) -> Output {
        let mut child = Command::new("sh")
            .args(["-c", ADD_KEY])
            .env("HOME", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{line}").unwrap();
        child.wait_with_output().unwrap()
    }

    fn added(home: &Path, line: &str) -> String {
        let output = run(home, line);
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        std::fs::read_to_string(home.join(".ssh/authorized_keys")).unwrap()
    }

    #[test]
    fn a_key_is_added_once_whatever_its_comment() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(added(home.path(), KEY), format!("{KEY}\n"));
        let mode = |name: &str| std::fs::metadata(home.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(".ssh"), mode(".ssh/authorized_keys")), (0o700, 0o644));
        assert_eq!(added(home.path(), KEY), format!("{KEY}\n"));
        let bare = KEY.strip_suffix(" me@there").unwrap();
        assert_eq!(added(home.path(), bare), format!("{KEY}\n"));
        assert_eq!(added(home.path(), &format!("{bare} you@here")), format!("{KEY}\n"));
        // A longer key that begins like it is another one.
        let longer = format!("{bare}AA you@here");
        assert_eq!(added(home.path(), &longer), format!("{KEY}\n{longer}\n"));
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".ssh/authorized_keys");
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        let old = "# mine\ncommand=\"date\" ssh-ed25519 AAAAold\nssh-rsa AAAAlast";
        std::fs::write(&file, old).unwrap();
        assert_eq!(added(home.path(), KEY), format!("{old}\n{KEY}\n"));
        assert_eq!(added(home.path(), "ssh-rsa AAAAlast"), format!("{old}\n{KEY}\n"));
    }

    #[test]
    fn nothing_of_a_key_is_run() {
        let home = tempfile::tempdir().unwrap();
        let hostile = "ssh-rsa AAAA $(touch $HOME/x) `touch $HOME/x`; touch $HOME/x \\ ' \" %s";
        assert_eq!(added(home.path(), hostile), format!("{hostile}\n"));
        assert!(!home.path().join("x").exists());
    }

    #[test]
    fn a_home_that_cannot_be_written_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".ssh"), "a file").unwrap();
        let output = run(home.path(), KEY);
        assert!(!output.status.success() && !output.stderr.is_empty(), "{output:?}");
    }
}
