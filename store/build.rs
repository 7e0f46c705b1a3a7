//! A migration that is added makes the store compile anew, for it is compiled in.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
