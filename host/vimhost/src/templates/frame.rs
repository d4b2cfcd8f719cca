//! What goes between the host and the process that renders: frames of a length and that many bytes.

use std::io::{Error, ErrorKind, Read, Result, Write};

/// Writes a frame.
pub(super) fn write(to: &mut impl Write, bytes: &[u8]) -> Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| too_long())?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads a frame of at most so many bytes; none when the other side is gone.
pub(super) fn read(from: &mut impl Read, most: usize) -> Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| too_long())?;
    if length > most {
        return Err(too_long());
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

fn too_long() -> Error {
    Error::new(ErrorKind::InvalidData, "a frame is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_were_written_and_no_longer_than_agreed() {
        let mut wire = Vec::new();
        for frame in [&b"one"[..], b"", b"three"] {
            write(&mut wire, frame).unwrap();
        }
        let mut from = &wire[..];
        assert_eq!(read(&mut from, 3).unwrap().unwrap(), b"one");
        assert_eq!(read(&mut from, 3).unwrap().unwrap(), b"");
        assert_eq!(read(&mut from, 3).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(read(&mut &b""[..], 3).unwrap(), None);
        let cut_off = read(&mut &b"\x03\0\0\0on"[..], 3).unwrap_err();
        assert_eq!(cut_off.kind(), ErrorKind::UnexpectedEof);
    }
}
