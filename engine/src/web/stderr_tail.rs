//! What a browser said before it ended: its standard error is the only place where it says why it does not start.

use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

/// Of all that was said, as much of the end.
const KEPT_BYTES: usize = 600;
/// A longer line is cut; the beginning says what it is about.
const LINE_BYTES: usize = 400;

/// The last lines that say something, in one line.
pub(super) async fn collect(errors: impl AsyncRead + Unpin) -> String {
    let mut errors = BufReader::new(errors);
    let (mut kept, mut line, mut part) = (Vec::<String>::new(), Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = errors.read(&mut part).await {
        for &byte in &part[..read] {
            if byte == b'\n' {
                keep(&mut kept, &line);
                line.clear();
            } else if line.len() < LINE_BYTES {
                line.push(byte);
            }
        }
    }
    keep(&mut kept, &line);
    kept.join("; ")
}

fn keep(kept: &mut Vec<String>, line: &[u8]) {
    let line = String::from_utf8_lossy(line);
    let Some(words) = words(&line) else { return };
    if kept.last().is_some_and(|last| last == words) {
        return;
    }
    kept.push(words.to_owned());
    while kept.iter().map(String::len).sum::<usize>() > KEPT_BYTES && kept.len() > 1 {
        kept.remove(0);
    }
}

/// What Chromium writes at every start on a machine without a desktop, and what only its developers can read.
const NOISE: &[&str] = &["dbus", "D-Bus", "DevTools listening", ":WARNING:", ":INFO:", ":VERBOSE"];

/// A line without its `[time:level:file(line)]`; none when it says nothing of why a browser ended.
fn words(line: &str) -> Option<&str> {
    let is_noise = NOISE.iter().any(|noise| line.contains(noise));
    // Frames of a stack trace.
    if is_noise || line.trim_start().starts_with('#') {
        return None;
    }
    let words = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((place, words)) if place.contains(':') => words,
        _ => line,
    };
    Some(words.trim()).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn noise_is_left_out_and_what_remains_is_in_the_browsers_own_words() {
        let said = "[1129/014432.6:ERROR:dbus/bus.cc:405] Failed to connect to the bus: no such file\n\
                    [1129/014432.6:WARNING:media/vaapi_wrapper.cc:1655] drmGetDevices2() has not found any devices\n\
                    \nDevTools listening on ws://127.0.0.1:1/devtools/browser/1\n\
                    [1129/014519.8:FATAL:content/zygote_host_impl_linux.cc:130] No usable sandbox! [see the docs]\n\
                    #0 0x5581 (/usr/lib/chromium/chromium+0x55)\n\
                    [1129/014519.9:ERROR:dbus/object_proxy.cc:572] Failed to call method";
        assert_eq!(collect(said.as_bytes()).await, "No usable sandbox! [see the docs]");
    }

    #[tokio::test]
    async fn the_end_of_much_is_kept_and_repetitions_are_not() {
        let said = format!("{}\nsame\nsame\n{}\nlast", "a".repeat(10_000), "b".repeat(300));
        let kept = collect(said.as_bytes()).await;
        assert_eq!(kept, format!("same; {}; last", "b".repeat(300)));
        assert_eq!(collect("".as_bytes()).await, "");
    }
}
