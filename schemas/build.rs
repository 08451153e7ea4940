//! Compiles the Protobuf schema with `protox`, so that no `protoc` has to be installed.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = "proto/thalweg/v1/thalweg.proto";
    println!("cargo:rerun-if-changed={file}");
    let descriptors = protox::compile([file], ["proto"])?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
