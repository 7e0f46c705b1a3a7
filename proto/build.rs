//! Compiles the .proto files with protox, so that this crate needs no protoc.
//!
//! The services are generated twice because the two sides read different things: a client's stubs use prost's own
//! codec, while a server's use `codec::RequestCodec`, which blames the caller for a body that cannot be read.

use std::{env, fs, path::PathBuf};

use prost_types::FileDescriptorSet;
use protox::Compiler;

const FILES: [&str; 14] = [
    "access",
    "member",
    "setup",
    "user",
    "tenant",
    "worker",
    "session",
    "message",
    "chat",
    "node",
    "operation",
    "cluster",
    "worker_inspection",
    "version",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut compiler = Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES.map(|file| format!("roost/v1/{file}.proto")))?;
    let descriptors = compiler.file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // As the compiler has it, for what prost has read is without the paths of HTTP, which are options of Google's.
    fs::write(out.join("roost_descriptor.bin"), compiler.encode_file_descriptor_set())?;
    fs::write(out.join("methods.rs"), methods(&descriptors))?;

    tonic_prost_build::configure().build_server(false).compile_fds(descriptors.clone())?;

    let server = out.join("server");
    fs::create_dir_all(&server)?;
    tonic_prost_build::configure()
        .build_client(false)
        .out_dir(server)
        .extern_path(".roost.v1", "crate::v1")
        .codec_path("crate::codec::RequestCodec")
        .compile_fds(descriptors)?;

    // Between our own programs: in no reflection, and a body that cannot be read is a fault of ours on either side.
    let internal = out.join("internal");
    fs::create_dir_all(&internal)?;
    let descriptors = protox::compile(["roost/internal/v1/node_agent.proto"], ["."])?;
    tonic_prost_build::configure().out_dir(internal).compile_fds(descriptors)?;

    println!("cargo:rerun-if-changed=roost");
    println!("cargo:rerun-if-changed=google");
    Ok(())
}

/// The name of every call, as a constant: what has to be said of each of them can be checked while it is compiled.
fn methods(descriptors: &FileDescriptorSet) -> String {
    let mut lines = String::new();
    for file in &descriptors.file {
        for service in &file.service {
            for method in &service.method {
                let (service, name) = (service.name(), method.name());
                lines += &format!("    \"/{}.{service}/{name}\",\n", file.package());
            }
        }
    }
    format!("&[\n{lines}]")
}
